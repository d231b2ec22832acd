"""Latent computation as the formula is written: a tensor of (n, n, q) differences in every step.

Each step is checkpointed, so that only the trajectory is kept and a step's tensors are made again in the backward
pass (A.3): the way of the released implementation, as far as it matters for time and memory.
"""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def literal_latents(anchors: Tensor, noise: Tensor, *, num_steps: int, g: float) -> Tensor:
    """Latents (n, q) of anchors (n, q) by Euler's method (Eq. 1)."""
    state = (1.0 - g) * anchors + g * noise
    step_size = (1.0 - g) / num_steps
    for step in range(num_steps):
        tau = g + step * step_size
        velocity = checkpoint(_velocity, state, anchors, tau, use_reentrant=False)
        assert isinstance(velocity, Tensor)
        state = state - step_size * velocity
    return state


def _velocity(state: Tensor, anchors: Tensor, tau: float) -> Tensor:
    """V(s, t) of section 2.2.1."""
    differences = state[:, None, :] - (1.0 - tau) * anchors[None, :, :]  # n n q
    probability = torch.softmax(-differences.square().sum(dim=2) / (2 * tau**2), dim=1)  # n n
    return (probability[:, :, None] * (anchors[None, :, :] - state[:, None, :])).sum(dim=1) / tau
