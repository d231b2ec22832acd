"""Random horizontal flips, the only augmentation of the paper's generative runs."""

import torch
from torch import Tensor

from lzn.base.randomness import BatchRandom


def random_flips(images: Tensor, random: BatchRandom) -> Tensor:
    """Flip each image (b, c, h, w) or each view (b, views, c, h, w) horizontally with probability 1/2."""
    is_flipped = random.uniform(*images.shape[1:-3]) < 0.5
    return torch.where(is_flipped[..., None, None, None], images.flip(-1), images)
