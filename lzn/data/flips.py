"""Horizontal mirrors, the one augmentation of the paper's generative runs."""

import torch
from torch import Tensor

from lzn.randomness import SampleDraws


def random_flips(images: Tensor, draws: SampleDraws) -> Tensor:
    """Mirror each image (b, c, h, w), or each view (b, views, c, h, w), horizontally with probability 1/2."""
    mirrored = draws.uniform(*images.shape[1:-3]) < 0.5
    return torch.where(mirrored[..., None, None, None], images.flip(-1), images)
