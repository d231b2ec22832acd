"""The paper's three case studies: models, training steps and inference; and the stability of latent zones.

- `latent_sampling`: how training steps draw latents (`LatentSampler`).
- `generation`: case study 1, rectified flow with and without latents; `PathSamples` has the rectified-flow loss.
- `representation`: case study 2, unsupervised representations from two aligned views.
- `joint`: case study 3, generation and classification together.
- `encoding`: anchors of many images after training; batches of a fixed size.
- `zone_stability`: how often a latent stays in its zone when the rest of its batch is replaced (the reviews).

A training step is a `lzn.training.StepInParts`: it encodes samples, couples their anchors, and decodes. It is built
from callables, so that it works with other networks and other data. Steps call `lzn.flow` and `lzn.rectified_flow`;
the paper's models are built from `lzn.networks`.
"""

from lzn.studies.encoding import compute_reference_anchors, encode_images
from lzn.studies.generation import (
    GenerationStep,
    GenerativeModel,
    anchors_of_images,
    generate,
    images_of,
    velocity_from_latents,
    velocity_from_latents_and_classes,
)
from lzn.studies.joint import (
    CentresInBank,
    CentresInBatch,
    JointModel,
    JointStep,
    LabelAlignment,
    LatentsInBatch,
    classify_images,
    label_anchors_of,
    labels_of,
)
from lzn.studies.latent_sampling import LatentSampler
from lzn.studies.representation import (
    REPRESENTATIONS,
    Augmentation,
    BackboneOutput,
    BatchRepresentation,
    FourRepresentations,
    RepresentationModel,
    RepresentationStep,
    anchors_of_views,
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
    "LatentSampler",
    "LatentsInBatch",
    "RepresentationModel",
    "RepresentationStep",
    "ZoneProtocol",
    "ZoneStability",
    "anchors_of_images",
    "anchors_of_views",
    "bank_zone_stability",
    "batch_zone_stability",
    "classify_images",
    "compute_reference_anchors",
    "encode_images",
    "generate",
    "images_of",
    "label_anchors_of",
    "labels_of",
    "represent_images",
    "velocity_from_latents",
    "velocity_from_latents_and_classes",
]
