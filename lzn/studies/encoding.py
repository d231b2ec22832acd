"""Anchors of many images, computed after training."""

from collections.abc import Callable

import torch
from torch import Tensor

from lzn.data import ImageArray, ImageSubset, dequantise, random_subset

ImageEncoder = Callable[[Tensor], Tensor]
"""From images (b, c, h, w) in [-1, 1] to anchors (b, q)."""

REFERENCE_SEED = 0
"""Seed of the choice of reference images; the same for all runs of a data set."""
_REFERENCE_BATCH_SIZE = 64


@torch.no_grad()
def encode_images(
    encoder: ImageEncoder, images: ImageArray, *, batch_size: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Anchors (n, q) of uint8 images (n, c, h, w), on ``device``, where ``encoder`` is.

    Images are read and encoded ``batch_size`` at a time. The encoder is as it is given: for measurements it is in
    evaluation mode, and the images are what evaluation sees.
    """
    starts = range(0, len(images), batch_size)
    return torch.cat([encoder(dequantise(images[start : start + batch_size]).to(device)) for start in starts])


def compute_reference_anchors(
    encoder: ImageEncoder,
    images: ImageArray,
    *,
    training_batch_size: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Anchors (m, q) of random training images, among which the zone of a single image is computed.

    A zone is a part of the latent space relative to the other anchors of a batch, so a single image needs others beside
    it: m is ``training_batch_size`` - 1, at least 1, at most ``len(images)``. Zones are then as wide as in training.
    """
    count = max(1, min(training_batch_size - 1, len(images)))
    chosen = ImageSubset(images, random_subset(len(images), count, seed=REFERENCE_SEED).numpy())
    return encode_images(encoder, chosen, batch_size=_REFERENCE_BATCH_SIZE, device=device)
