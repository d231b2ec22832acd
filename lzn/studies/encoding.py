"""Anchors of many images, computed after training, and batches of a fixed size."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lzn.data import ImageArray, ImageSubset, dequantise, random_subset

ImageEncoder = Callable[[Tensor], Tensor]
"""From images (b, c, h, w) in [-1, 1] to anchors (b, q)."""

REFERENCE_SEED = 0
"""Seed of the choice of reference images, the same for all runs of a data set."""
_REFERENCE_BATCH_SIZE = 64
ENCODED_TOGETHER = 1000
"""Images of a batch that are encoded together: the paper's encoder keeps 4 MB of feature maps for a 32x32 image."""


@torch.no_grad()
def encode_images(
    encoder: ImageEncoder, images: ImageArray, *, batch_size: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Compute anchors (n, q) of uint8 images (n, c, h, w), on ``device``, which must be the encoder's.

    Images are read and encoded ``batch_size`` at a time. The encoder's mode is not changed: pass it in evaluation mode.
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
    """Compute reference anchors (m, q): the anchors of random training images, which define the zone of a single image.

    A zone depends on the other anchors of a batch, so a single image needs others. With m = ``training_batch_size`` - 1
    (at least 1, at most ``len(images)``) zones are as wide as in training.
    """
    count = max(1, min(training_batch_size - 1, len(images)))
    chosen = ImageSubset(images, random_subset(len(images), count, seed=REFERENCE_SEED).numpy())
    return encode_images(encoder, chosen, batch_size=_REFERENCE_BATCH_SIZE, device=device)


def encode_batch(encoder: ImageEncoder, images: Tensor) -> Tensor:
    """Compute the anchors (n, q) of one batch of images (n, c, h, w), `ENCODED_TOGETHER` images at a time.

    Zones depend on all anchors of a batch, and an anchor only on its image: only the encoder's memory is split. It must
    be in evaluation mode.
    """
    return torch.cat([encoder(part) for part in torch.split(images, ENCODED_TOGETHER)])


class FullBatch(NamedTuple):
    """Rows of a batch, and which of the batch's results are new."""

    rows: slice
    new: slice


def full_batches(num_rows: int, batch_size: int) -> Iterator[FullBatch]:
    """Yield batches that cover ``num_rows``, all of ``batch_size`` rows if there are as many.

    The last batch is filled with the rows before it: zones among a few anchors only would be too wide.
    """
    for start in range(0, num_rows, batch_size):
        stop = min(start + batch_size, num_rows)
        yield FullBatch(slice(max(0, stop - batch_size), stop), slice(start - stop, None))
