"""One optimiser step: Adam with a learning rate per part, warm-up, clipping, and freezing (method section 6)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.parallel import BatchShare
from lzn.flow import NonFiniteAnchorsError
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Losses


@dataclass(frozen=True)
class UpdateResult:
    """The result of an optimiser step; all tensors are scalars on the device.

    Attributes:
        accepted: bool; whether loss and gradient were finite, so that the parameters were updated.
        values: the loss and the metrics by name, means over the global batch, float32.
    """

    accepted: Tensor
    values: Mapping[str, Tensor]


def model_parts(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each part of ``model`` by its name: its children, and parameters directly on it.

    Raises:
        ValueError: two parts share a parameter.
    """
    parts = {name: list(child.parameters()) for name, child in model.named_children()}
    parts = {name: parameters for name, parameters in parts.items() if parameters}
    parts |= {name: [parameter] for name, parameter in model.named_parameters(recurse=False)}
    owners: dict[nn.Parameter, str] = {}
    names = {parameter: name for name, parameter in model.named_parameters(remove_duplicate=False)}
    for part, parameters in parts.items():
        for parameter in parameters:
            if owners.setdefault(parameter, part) != part:
                raise ValueError(
                    f"{owners[parameter]} and {part} share the parameter {names[parameter]}: it would have two "
                    "learning rates; make both modules children of one part"
                )
    return parts


def build_optimizer(model: nn.Module, schedule: TrainingSchedule) -> torch.optim.Optimizer:
    """Build Adam with one parameter group for each part of ``model`` (see `model_parts`).

    Raises:
        ValueError: the names of the learning rates are not those of the parts, or two parts share a parameter.
    """
    parts = model_parts(model)
    if set(parts) != set(schedule.learning_rates):
        raise ValueError(
            f"learning_rates must name the model's parts {sorted(parts)}, got {sorted(schedule.learning_rates)}"
        )
    groups = [
        {
            "params": parameters,
            "lr": schedule.learning_rates[name],
            "base_lr": schedule.learning_rates[name],
        }
        for name, parameters in parts.items()
    ]
    return torch.optim.Adam(groups, fused=True)


def apply_schedule(
    model: nn.Module, optimizer: torch.optim.Optimizer, schedule: TrainingSchedule, step: int
) -> None:
    """Set the learning rates of ``step`` (from 0), and freeze the parts whose training has ended."""
    for name, last_step in schedule.freeze_after.items():
        if step >= last_step:
            getattr(model, name).requires_grad_(False)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * schedule.warmup_factor(step)


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    compute_losses: Callable[[], Losses],
    *,
    share: BatchShare,
    max_gradient_norm: float,
) -> UpdateResult | None:
    """Take one optimiser step. If the loss or the gradient is not finite, the step changes nothing.

    This check runs on the device, without synchronisation, on the sums over all processes, so that all processes
    decide alike. The result is None if anchors are not finite; `lzn.flow` checks the anchors of all processes before
    there is a loss.
    """
    optimizer.zero_grad(set_to_none=True)
    try:
        losses = compute_losses()
    except NonFiniteAnchorsError:
        return None
    # The backward pass also runs for a non-finite loss, because the other processes wait in collective operations.
    (losses.total * share.weight).backward()  # type: ignore[no-untyped-call]
    named = {"loss": losses.total.detach(), **losses.metrics}
    means = torch.stack([value.float() for value in named.values()]) * share.weight
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    share.processes.sum_([*gradients, means])
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_gradient_norm)
    accepted = means[0].isfinite() & norm.isfinite()
    # The fused Adam skips the step if this is 1; `torch.amp.GradScaler` also sets it.
    optimizer.found_inf = (~accepted).float()  # type: ignore[attr-defined]
    optimizer.step()
    return UpdateResult(accepted, dict(zip(named, means.unbind(), strict=True)))
