"""The paper's three case studies: models, training steps and inference; and the stability of latent zones.

- `generation`: case study 1, rectified flow with and without latents. It also has what all studies share: how latents
  are sampled (`LatentSampler`), and the rectified-flow loss of a batch.
- `representation`: case study 2, unsupervised representations from two aligned views.
- `joint`: case study 3, generation and classification together.
- `encoding`: anchors of many images after training; batches of a fixed size.
- `zone_stability`: how often a latent stays in its zone when the rest of its batch is replaced (the reviews).

A training step is a callable ``(model, batch, random) -> Losses`` that `lzn.training` calls. Steps call `lzn.flow` and
`lzn.rectified_flow`; models are built from `lzn.networks`.
"""

from lzn.studies.encoding import compute_reference_anchors, encode_images
from lzn.studies.generation import GenerationStep, GenerativeModel, LatentSampler, generate_images
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
    "LatentSampler",
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
