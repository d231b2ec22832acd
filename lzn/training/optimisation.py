"""One optimiser step: Adam with a learning rate a part, warm-up, clipping, and freezing (method section 6)."""

import math
from collections.abc import Callable

import torch
from torch import nn

from lzn.flow import NonFiniteAnchorsError
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Losses


def build_optimizer(model: nn.Module, schedule: TrainingSchedule) -> torch.optim.Optimizer:
    """Adam over the children of ``model``, one parameter group each.

    Raises:
        ValueError: the learning rates do not name exactly the children that have parameters.
    """
    children = {
        name: child for name, child in model.named_children() if any(True for _ in child.parameters())
    }
    if set(children) != set(schedule.learning_rates):
        raise ValueError(
            f"learning_rates must name the model's parts {sorted(children)}, got {sorted(schedule.learning_rates)}"
        )
    groups = [
        {
            "params": list(child.parameters()),
            "lr": schedule.learning_rates[name],
            "base_lr": schedule.learning_rates[name],
        }
        for name, child in children.items()
    ]
    return torch.optim.Adam(groups, fused=True)


def apply_schedule(
    model: nn.Module, optimizer: torch.optim.Optimizer, schedule: TrainingSchedule, step: int
) -> None:
    """Set the learning rates of ``step`` (from 0), and freeze the parts whose training is over."""
    for name, last_step in schedule.freeze_after.items():
        if step >= last_step:
            model.get_submodule(name).requires_grad_(False)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * schedule.warmup_factor(step)


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    compute_losses: Callable[[], Losses],
    *,
    max_gradient_norm: float,
) -> Losses | None:
    """One optimiser step, or None (and the parameters as they were) where loss or gradient is not finite."""
    optimizer.zero_grad(set_to_none=True)
    try:
        losses = compute_losses()
    except NonFiniteAnchorsError:
        return None
    if not math.isfinite(float(losses.total.detach())):
        return None
    losses.total.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_gradient_norm)
    if not math.isfinite(float(norm)):
        return None
    optimizer.step()
    return losses
