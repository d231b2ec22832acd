"""Random images of coarse blocks with noise."""

import torch
from torch import Tensor, nn


def random_block_images(seed: int, *shape: int) -> Tensor:
    """Return uint8 images (n, c, h, w) of coarse blocks with noise; some pixels are black or white."""
    generator = torch.Generator().manual_seed(seed)
    n, c, h, w = shape
    blocks = torch.rand(n, c, 4, 4, generator=generator).mul(400).sub(70)
    images = nn.functional.interpolate(blocks, (h, w)) + torch.randn(shape, generator=generator).mul(20)
    return images.round().clamp(0, 255).to(torch.uint8)
