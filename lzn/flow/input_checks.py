"""Checks of the inputs of the flow.

On CPU, values are checked as well as shapes. On other devices values are not checked, because the check would
synchronise the device; results computed from bad values are then NaN.
"""

import torch
from torch import Tensor

from lzn.base.devices import is_cpu


class NonFiniteAnchorsError(ValueError):
    """Anchors hold NaN or infinity: the encoder diverged."""


def check_points(name: str, points: Tensor, *, dim: int | None = None) -> None:
    """Raise ValueError unless ``points`` is floating, (rows, dim), with at least one row; any ``dim`` by default."""
    if points.ndim != 2 or not points.is_floating_point() or len(points) == 0:
        raise ValueError(
            f"{name} must be a floating-point tensor (rows, q) with at least one row, got {_describe(points)}"
        )
    if dim is not None and points.shape[1] != dim:
        raise ValueError(f"{name} must have {dim} columns like the anchors, got {_describe(points)}")


def check_anchors(name: str, anchors: Tensor) -> None:
    """Raise ValueError unless ``anchors`` is (n, q), and on CPU `NonFiniteAnchorsError` unless it is finite."""
    check_points(name, anchors)
    if is_cpu(anchors) and not bool(torch.isfinite(anchors.detach()).all()):
        raise NonFiniteAnchorsError(
            f"{name} hold NaN or infinity; lower the encoder's learning rate or clip gradients"
        )


def check_paired(name: str, points: Tensor, *, num_samples: int, dim: int) -> None:
    """Raise ValueError unless ``points`` is (m, q), with one row for each sample."""
    check_points(name, points, dim=dim)
    if len(points) != num_samples:
        raise ValueError(f"{name} must have one row for each of the {num_samples} samples, got {len(points)}")


def check_sample_weights(weights: Tensor | None, samples: Tensor) -> None:
    """Raise ValueError if, on CPU, the weight (n,) of one of the ``samples``, indices (m,), is zero."""
    if weights is None or not is_cpu(weights):
        return
    weightless = samples[weights[samples] == 0]
    if len(weightless):
        raise ValueError(
            f"anchor {int(weightless[0])} has weight zero: it has no zone, so it cannot be a sample"
        )


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless ``alpha`` is in [0, 1]."""
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")


def check_weights(weights: Tensor | None, num_anchors: int) -> None:
    """Raise ValueError unless ``weights`` is (n,), and on CPU finite, non-negative and of positive sum."""
    if weights is None:
        return
    if weights.shape != (num_anchors,):
        raise ValueError(
            f"weights must have shape ({num_anchors},), one for each anchor, got {_describe(weights)}"
        )
    if not is_cpu(weights):
        return
    if not bool(torch.isfinite(weights).all()):
        raise ValueError("weights hold NaN or infinity")
    if bool((weights < 0).any()):
        raise ValueError(f"weights must not be negative, the smallest is {float(weights.min())}")
    if not bool(weights.sum() > 0):
        raise ValueError("weights sum to zero: at least one anchor needs a positive weight")


def check_targets(targets: Tensor | None, *, num_latents: int, num_anchors: int) -> None:
    """Raise ValueError unless ``targets`` is int64 (m,), and on CPU with indices in [0, n)."""
    if targets is None:
        return
    if targets.dtype != torch.int64 or targets.shape != (num_latents,):
        raise ValueError(f"targets must be int64 of shape ({num_latents},), got {_describe(targets)}")
    if is_cpu(targets) and bool(((targets < 0) | (targets >= num_anchors)).any()):
        raise ValueError(f"targets must lie in [0, {num_anchors}), the number of anchors")


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"
