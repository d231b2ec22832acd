"""Classification of images by the zones of their latents (section 5)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.flow import decode_labels
from lzn.inference.abilities import Ability
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun, OnProgress

NUM_ZONE_DRAWS = 64


@dataclass(frozen=True)
class Classification:
    """Labels of n images, and the overlap of their zones with the zones of the classes.

    Attributes:
        labels: int64 (n,): the class in whose zone the centre of the image's zone lies (algorithm 9).
        shares: (n, c): of `NUM_ZONE_DRAWS` latents drawn from the image's zone at alpha = 1, the fraction in the zone
            of each class. Rows sum to 1. The label need not have the largest fraction, because the centre of a zone
            need not lie where most of the zone lies.
    """

    labels: NDArray[np.int64]
    shares: NDArray[np.float64]


@torch.no_grad()
def classify(run: LoadedRun, images: Images, *, on_progress: OnProgress = lambda _: None) -> Classification:
    """Classify images, each alone with the run's reference anchors.

    Raises:
        UnsupportedAbilityError: the run has no label anchors.
    """
    run.facts.require(Ability.CLASSIFY)
    label_anchors = run.trained.model.label_anchors.points
    generator = generator_for(0, "zone shares")
    draws = torch.randn(NUM_ZONE_DRAWS, label_anchors.shape[1], generator=generator)
    noise = torch.cat([torch.zeros_like(draws[:1]), draws]).to(
        run.device
    )  # zero noise gives the zone's centre

    def labels_of_latents(image: Tensor) -> Tensor:
        anchors = run.trained.model.encoder(image).expand(len(noise), -1)
        latents = run.latents(anchors, noise, alpha=1.0)
        return decode_labels(latents, label_anchors).cpu()

    labels = torch.stack(run.map_images(labels_of_latents, images, on_progress))
    classes = torch.arange(run.facts.num_classes)
    shares = (labels[:, 1:, None] == classes).double().mean(dim=1)
    return Classification(labels[:, 0].numpy(), shares.numpy())
