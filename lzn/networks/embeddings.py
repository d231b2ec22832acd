"""Time, latent and class as one vector, an input of every residual block of the decoder (paper C.2 and E.2)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.networks.initialisation import dense
from lzn.networks.unet_config import UNetConfig

TIME_SCALE = 999.0
"""Networks take times in [0, 1] as 999 t."""

FOURIER_SCALE = 16.0
"""Standard deviation of the random Fourier frequencies."""


def scaled_time(t: Tensor) -> Tensor:
    """Return 999 t, clamped to [0, 999]; ``t`` has shape (b,)."""
    return (TIME_SCALE * t).clamp(0.0, TIME_SCALE)


class SinusoidalTime(nn.Module):
    """Sines and cosines of 999 t at geometrically spaced frequencies from 1 to 1/10000."""

    def __init__(self, num_frequencies: int) -> None:
        super().__init__()
        self.num_frequencies = num_frequencies

    def forward(self, time: Tensor) -> Tensor:
        """Map times (b,) in [0, 999] to features (b, 2 * num_frequencies)."""
        index = torch.arange(self.num_frequencies, dtype=time.dtype, device=time.device)
        phase = time[:, None] * torch.exp(-math.log(10_000) / (self.num_frequencies - 1) * index)
        return torch.cat([phase.sin(), phase.cos()], dim=1)


class FourierTime(nn.Module):
    """Sines and cosines of log(999 t) at random, fixed frequencies; not finite at t = 0."""

    frequencies: Tensor

    def __init__(self, num_frequencies: int) -> None:
        super().__init__()
        self.num_frequencies = num_frequencies
        self.register_buffer("frequencies", FOURIER_SCALE * torch.randn(num_frequencies))

    def forward(self, time: Tensor) -> Tensor:
        """Map times (b,) in (0, 999] to features (b, 2 * num_frequencies)."""
        # Phases reach thousands of radians, which float32 rounds to 1e-4, so the order of the factors matters.
        phase = time.log()[:, None] * self.frequencies * 2 * math.pi
        return torch.cat([phase.sin(), phase.cos()], dim=1)


class ConditionEmbedding(nn.Module):
    """Two dense layers with swish on [latent, one-hot class, time features]; latent and class are optional.

    The last swish is the one that each block would apply before its projection, done once for all blocks.
    """

    def __init__(self, config: UNetConfig, *, latent_dim: int, num_classes: int) -> None:
        super().__init__()
        base, width = config.base_channels, config.embedding_channels
        self.time = FourierTime(base) if config.traits.fourier_time else SinusoidalTime(base // 2)
        self.dense_in = dense(latent_dim + num_classes + 2 * self.time.num_frequencies, width)
        self.dense_out = dense(width, width)

    def forward(self, time: Tensor, latent: Tensor | None, class_one_hot: Tensor | None) -> Tensor:
        """Map times (b,) in [0, 999], latents (b, q) and one-hot classes (b, c) to (b, 4 base_channels)."""
        conditions = (latent, class_one_hot, self.time(time))
        features = torch.cat([condition for condition in conditions if condition is not None], dim=1)
        features = features.to(self.dense_in.weight.dtype)  # time features are float32 at least
        return functional.silu(self.dense_out(functional.silu(self.dense_in(features))))
