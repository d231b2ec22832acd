"""One optimiser step: Adam with a learning rate per part, warm-up, clipping, and freezing (method section 6)."""

from collections.abc import Callable, Collection, Mapping
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


def part_names(model: nn.Module) -> list[str]:
    """Return the names of the parts of ``model``: children with parameters, and parameters directly on it."""
    children = [name for name, child in model.named_children() if any(True for _ in child.parameters())]
    return sorted([*children, *(name for name, _ in model.named_parameters(recurse=False))])


def parameters_of_parts(model: nn.Module, parts: Collection[str]) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each part of ``model``, by its name.

    Parts are named like submodules or parameters (``encoder``, ``encoder.head``, ``scale``); an empty name is the whole
    model. A parameter of several parts belongs to that with the longest name.

    Raises:
        ValueError: a part has no parameters, a parameter has no part, or a shared parameter has two.
    """
    found: dict[str, list[nn.Parameter]] = {}
    owners: dict[nn.Parameter, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        fitting = [part for part in parts if f"{name}.".startswith(f"{part}." if part else "")]
        if not fitting:
            break
        part = max(fitting, key=len)
        if parameter not in owners:
            found.setdefault(part, []).append(parameter)
        if owners.setdefault(parameter, part) != part:
            raise ValueError(
                f"{owners[parameter]} and {part} share the parameter {name}: it would have two learning rates; make "
                "both modules children of one part"
            )
    if len(owners) < len(list(model.parameters())) or set(found) != set(parts):
        raise ValueError(
            f"learning_rates must name the model's parts {part_names(model)}, or their submodules, got {sorted(parts)}"
        )
    return found


def build_optimizer(model: nn.Module, schedule: TrainingSchedule) -> torch.optim.Optimizer:
    """Build Adam with one parameter group for each part of ``model`` that has a learning rate.

    Raises:
        ValueError: as `parameters_of_parts`.
    """
    groups = [
        {
            "params": parameters,
            "lr": schedule.learning_rates[name],
            "base_lr": schedule.learning_rates[name],
        }
        for name, parameters in parameters_of_parts(model, schedule.learning_rates).items()
    ]
    return torch.optim.Adam(groups, fused=True)


def apply_schedule(
    model: nn.Module, optimizer: torch.optim.Optimizer, schedule: TrainingSchedule, step: int
) -> None:
    """Set the learning rates of ``step`` (from 0), and freeze the parts whose training has ended."""
    for name, last_step in schedule.freeze_after.items():
        if step >= last_step:
            for parameter in parameters_of_parts(model, schedule.learning_rates)[name]:
                parameter.requires_grad_(False)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * schedule.warmup_factor(step)


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    add_gradients: Callable[[], Losses],
    *,
    share: BatchShare,
    max_gradient_norm: float,
) -> UpdateResult | None:
    """Take one optimiser step. If the loss or the gradient is not finite, the step changes nothing.

    This check runs on the device, without synchronisation, on the sums over all processes, so that all processes
    decide alike. The result is None if anchors are not finite; `lzn.flow` checks the anchors of all processes before
    there is a loss.

    Args:
        model: the model.
        optimizer: the result of `build_optimizer`.
        add_gradients: computes the gradients of the global batch, summed over processes, and returns the losses of
            own samples. It computes them for a non-finite loss too, because other processes wait in collective
            operations.
        share: own rows of the global batch.
        max_gradient_norm: the norm over all parameters is clipped to this.
    """
    optimizer.zero_grad(set_to_none=True)
    try:
        losses = add_gradients()
    except NonFiniteAnchorsError:
        return None
    named = {"loss": losses.total.detach(), **losses.metrics}
    means = torch.stack([value.float() for value in named.values()]) * share.weight
    share.processes.sum_([means])
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_gradient_norm)
    accepted = means[0].isfinite() & norm.isfinite()
    # The fused Adam skips the step if this is 1; `torch.amp.GradScaler` also sets it.
    optimizer.found_inf = (~accepted).float()  # type: ignore[attr-defined]
    optimizer.step()
    return UpdateResult(accepted, dict(zip(named, means.unbind(), strict=True)))
