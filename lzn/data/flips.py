"""Horizontal mirrors, the one augmentation of the paper's generative runs."""

import torch
from torch import Tensor


def random_flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image (b, c, h, w) horizontally with probability 1/2."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)
