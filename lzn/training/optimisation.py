"""One optimiser step: Adam with a learning rate a part, warm-up, clipping, and freezing (method section 6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.parallel import BatchShare
from lzn.flow import NonFiniteAnchorsError
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Losses


@dataclass(frozen=True)
class Outcome:
    """What came of a step; all tensors are scalars on the device.

    Attributes:
        accepted: bool: loss and gradient were finite, and the parameters moved.
        values: the loss and the watched values by name: means over the global batch, float32.
    """

    accepted: Tensor
    values: Mapping[str, Tensor]


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
    share: BatchShare,
    max_gradient_norm: float,
) -> Outcome | None:
    """One step of the optimiser, which leaves everything as it was where loss or gradient is not finite.

    Whether they are is decided on the device, without waiting for it; the losses and gradients of all processes are
    added up, so all decide alike. None where anchors are not finite, which `lzn.flow` finds before there is a loss:
    from the anchors of all processes, so that none of them goes on alone.
    """
    optimizer.zero_grad(set_to_none=True)
    try:
        losses = compute_losses()
    except NonFiniteAnchorsError:
        return None
    # Backward passes are for non-finite losses as well: the other processes wait for this one in gatherings.
    (losses.total * share.weight).backward()  # type: ignore[no-untyped-call]
    named = {"loss": losses.total.detach(), **losses.watched}
    means = torch.stack([value.float() for value in named.values()]) * share.weight
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    share.processes.sum_([*gradients, means])
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_gradient_norm)
    accepted = means[0].isfinite() & norm.isfinite()
    # What torch.amp.GradScaler sets: the fused Adam skips the step where it is 1.
    optimizer.found_inf = (~accepted).float()  # type: ignore[attr-defined]
    optimizer.step()
    return Outcome(accepted, dict(zip(named, means.unbind(), strict=True)))
