"""The anchors of a whole data set, for what is measured after training."""

from collections.abc import Callable

import torch
from torch import Tensor

from lzn.data import ImageArray, dequantise

ImageEncoder = Callable[[Tensor], Tensor]
"""From images (b, c, h, w) in [-1, 1] to anchors (b, q)."""


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
