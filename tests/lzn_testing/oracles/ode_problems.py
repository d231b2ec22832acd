"""Small ODEs dx/dt = v(x, t) with initial values: linear, stiff, with a pulse, constant in time, and others."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.rectified_flow.path import Velocity


@dataclass(frozen=True)
class Problem:
    velocity: Velocity
    x: Tensor


def rotation(x: Tensor, t: Tensor) -> Tensor:
    return 3 * torch.stack([-x[:, 1], x[:, 0]], dim=1)


def lotka_volterra(x: Tensor, t: Tensor) -> Tensor:
    return torch.stack([x[:, 0] * (1.5 - x[:, 1]), x[:, 1] * (x[:, 0] - 3)], dim=1)


def van_der_pol(x: Tensor, t: Tensor) -> Tensor:
    return torch.stack([x[:, 1], 5 * (1 - x[:, 0] ** 2) * x[:, 1] - x[:, 0]], dim=1)


def forced(x: Tensor, t: Tensor) -> Tensor:
    return torch.cos(20 * t)[:, None] * x - t[:, None]


def parabola(x: Tensor, t: Tensor) -> Tensor:
    return (2 * t)[:, None].expand_as(x)


def pulse(x: Tensor, t: Tensor) -> Tensor:
    return 100 * torch.exp(-(((t - 0.6) / 0.03) ** 2))[:, None] - x


def rest(x: Tensor, t: Tensor) -> Tensor:
    return torch.zeros_like(x)


PROBLEMS = {
    "rotation": Problem(rotation, torch.tensor([[1.0, 0.0], [0.3, 2.0]], dtype=torch.float64)),
    "lotka_volterra": Problem(lotka_volterra, torch.tensor([[10.0, 5.0], [4.0, 3.0]], dtype=torch.float64)),
    "van_der_pol": Problem(van_der_pol, torch.tensor([[2.0, 0.0]], dtype=torch.float64)),
    "forced": Problem(forced, torch.tensor([[1.0, -2.0], [0.0, 0.0]], dtype=torch.float64)),
    "parabola": Problem(parabola, torch.zeros(3, 2, dtype=torch.float64)),
    "pulse": Problem(pulse, torch.ones(1, 2, dtype=torch.float64)),
    "rest": Problem(rest, torch.ones(1, 2, dtype=torch.float64)),
}
