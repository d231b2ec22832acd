"""The paper's three case studies: models, training steps and inference; and how stable latent zones are."""

from lzn.studies.generation import GenerationStep, GenerativeModel, LatentDraw, generate_images
from lzn.studies.joint import (
    JointModel,
    JointStep,
    LabelAlignment,
    classify_images,
    decode_labels,
    draw_label_latents,
)
from lzn.studies.representation import (
    REPRESENTATIONS,
    Augmentation,
    RepresentationModel,
    RepresentationStep,
    represent_images,
)
from lzn.studies.zone_stability import (
    ZoneQuestion,
    ZoneStability,
    bank_zone_stability,
    batch_zone_stability,
)

__all__ = [
    "REPRESENTATIONS",
    "Augmentation",
    "GenerationStep",
    "GenerativeModel",
    "JointModel",
    "JointStep",
    "LabelAlignment",
    "LatentDraw",
    "RepresentationModel",
    "RepresentationStep",
    "ZoneQuestion",
    "ZoneStability",
    "bank_zone_stability",
    "batch_zone_stability",
    "classify_images",
    "decode_labels",
    "draw_label_latents",
    "generate_images",
    "represent_images",
]
