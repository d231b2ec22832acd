"""The paper's three case studies: models, training steps and inference; and how stable latent zones are."""

from lzn.studies.encoding import compute_reference_anchors, encode_images
from lzn.studies.generation import GenerationStep, GenerativeModel, LatentDraw, generate_images
from lzn.studies.joint import (
    LABEL_SOLVER,
    CentresInBank,
    CentresInBatch,
    JointModel,
    JointStep,
    LabelAlignment,
    LatentsInBatch,
    classify_images,
    decode_labels,
    draw_label_latents,
)
from lzn.studies.representation import (
    REPRESENTATIONS,
    Augmentation,
    BackboneOutput,
    BatchRepresentation,
    FourRepresentations,
    RepresentationModel,
    RepresentationStep,
    represent_images,
)
from lzn.studies.zone_stability import (
    BatchZoneStability,
    ZoneProtocol,
    ZoneStability,
    bank_zone_stability,
    batch_zone_stability,
)

__all__ = [
    "LABEL_SOLVER",
    "REPRESENTATIONS",
    "Augmentation",
    "BackboneOutput",
    "BatchRepresentation",
    "BatchZoneStability",
    "CentresInBank",
    "CentresInBatch",
    "FourRepresentations",
    "GenerationStep",
    "GenerativeModel",
    "JointModel",
    "JointStep",
    "LabelAlignment",
    "LatentDraw",
    "LatentsInBatch",
    "RepresentationModel",
    "RepresentationStep",
    "ZoneProtocol",
    "ZoneStability",
    "bank_zone_stability",
    "batch_zone_stability",
    "classify_images",
    "compute_reference_anchors",
    "decode_labels",
    "draw_label_latents",
    "encode_images",
    "generate_images",
    "represent_images",
]
