"""Layers with the initial weights of DDPM (Ho et al. 2020): uniform with variance scale / fan_avg, biases 0."""

import math
from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

NEAR_ZERO = 1e-10
"""Scale of the last layer of a branch, so that a residual block is nearly its skip at first."""


def conv(in_channels: int, out_channels: int, *, kernel: int, scale: float = 1.0) -> nn.Conv2d:
    """Build a convolution of stride 1 that keeps height and width (``kernel`` is odd)."""
    return _initialised(nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2), scale)


def dense(in_features: int, out_features: int, *, scale: float = 1.0) -> nn.Linear:
    """Build a linear layer on the last axis."""
    return _initialised(nn.Linear(in_features, out_features), scale)


def _initialised(layer: Layer, scale: float) -> Layer:
    nn.init.xavier_uniform_(layer.weight, gain=math.sqrt(scale))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
