"""Time, latent and class as one vector that every residual block of the decoder sees (paper C.2 and E.2)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.networks.initialisation import dense
from lzn.networks.unet_config import UNetConfig

TIME_SCALE = 999.0
"""Times in [0, 1] enter the networks as noise-level indices in [0, 999]."""

FOURIER_SCALE = 16.0
"""Standard deviation of the random Fourier frequencies."""


def scaled_time(t: Tensor) -> Tensor:
    """999 t, clamped to [0, 999]; ``t`` has shape (b,)."""
    return (TIME_SCALE * t).clamp(0.0, TIME_SCALE)


class SinusoidalTime(nn.Module):
    """Sines and cosines of 999 t at geometrically spaced frequencies from 1 down to 1/10000."""

    def __init__(self, num_frequencies: int) -> None:
        super().__init__()
        self.num_frequencies = num_frequencies

    def forward(self, time: Tensor) -> Tensor:
        """Times (b,) in [0, 999] to features (b, 2 * num_frequencies)."""
        index = torch.arange(self.num_frequencies, dtype=time.dtype, device=time.device)
        phase = time[:, None] * torch.exp(-math.log(10_000) / (self.num_frequencies - 1) * index)
        return torch.cat([phase.sin(), phase.cos()], dim=1)


class FourierTime(nn.Module):
    """Sines and cosines of log(999 t) at random, fixed frequencies. Not finite at t = 0, as the log."""

    frequencies: Tensor

    def __init__(self, num_frequencies: int) -> None:
        super().__init__()
        self.num_frequencies = num_frequencies
        self.register_buffer("frequencies", FOURIER_SCALE * torch.randn(num_frequencies))

    def forward(self, time: Tensor) -> Tensor:
        """Times (b,) in (0, 999] to features (b, 2 * num_frequencies)."""
        # Phases reach thousands of radians, so float32 rounds them to 1e-4: the order of the factors shows.
        phase = time.log()[:, None] * self.frequencies * 2 * math.pi
        return torch.cat([phase.sin(), phase.cos()], dim=1)


class ConditionEmbedding(nn.Module):
    """[latent, one-hot class, time features], each where there is one, through two dense layers with swish.

    The last swish is the one that each block applies before its own projection: it is the same for all of
    them.
    """

    def __init__(self, config: UNetConfig, *, latent_dim: int, num_classes: int) -> None:
        super().__init__()
        base, width = config.base_channels, config.embedding_channels
        self.time = FourierTime(base) if config.traits.fourier_time else SinusoidalTime(base // 2)
        self.dense_in = dense(latent_dim + num_classes + 2 * self.time.num_frequencies, width)
        self.dense_out = dense(width, width)

    def forward(self, time: Tensor, latent: Tensor | None, class_one_hot: Tensor | None) -> Tensor:
        """Times (b,) in [0, 999], latents (b, q), one-hot classes (b, c) to (b, 4 base_channels)."""
        conditions = (latent, class_one_hot, self.time(time))
        features = torch.cat([condition for condition in conditions if condition is not None], dim=1)
        return functional.silu(self.dense_out(functional.silu(self.dense_in(features))))
