"""Small trainings of all studies, with dropout and random flips, in one or several processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn, serialization

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom
from lzn.data import AffineViews, ImageSet
from lzn.flow import DPMSolver, Euler
from lzn.networks import SampleDropout
from lzn.studies import GenerationStep, JointStep, LabelAlignment, LatentSampler, RepresentationStep
from lzn.training import (
    Batch,
    CheckpointFolder,
    Compute,
    ImageBatches,
    Losses,
    TrainingCallbacks,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSchedule,
    train,
)
from lzn_testing.models.tiny_models import tiny_generative, tiny_joint, tiny_representation
from lzn_testing.models.toy_training import ToyModel, ToyStep, toy_batches, toy_model, toy_schedule

NAN = float("nan")
SOLVER = Euler(num_steps=8)
LATENTS = LatentSampler(solver=DPMSolver(num_steps=6, g=1e-3))
AUGMENT = AffineViews(max_rotation=15, max_scale=1.2, max_shear=0.1, max_shift=1, min_contrast=0.5, noise=0.1)
STUDIES: Mapping[str, tuple[Callable[[], nn.Module], Any]] = {
    "rf": (lambda: tiny_generative(latents=False), GenerationStep(None)),
    "rf_lzn": (lambda: tiny_generative(latents=True), GenerationStep(LATENTS)),
    "joint": (
        tiny_joint,
        JointStep(latents=LATENTS, alignment=LabelAlignment(solver=SOLVER, num_skipped_steps=2)),
    ),
    "representation": (
        tiny_representation,
        RepresentationStep(
            augment=AUGMENT,
            latents=LatentSampler(solver=SOLVER, alpha=0.45),
            solver=SOLVER,
            num_skipped_steps=2,
        ),
    ),
}


@dataclass(frozen=True)
class ProcessResult:
    """Results of a training in one process."""

    weights: dict[str, Tensor]
    gradients: dict[str, Tensor]
    curve: list[tuple[int, dict[str, float]]]
    num_skipped_steps: int
    reports: list[str] = field(default_factory=list)


serialization.add_safe_globals([ProcessResult])  # processes return it in files


def process_result(
    model: nn.Module, result: TrainingResult, reports: list[str] | None = None
) -> ProcessResult:
    return ProcessResult(
        weights={name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()},
        gradients={name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None},
        curve=[(point.step, point.values) for point in result.curve],
        num_skipped_steps=result.num_skipped_steps,
        reports=reports or [],
    )


def images_8() -> ImageSet:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    return ImageSet(images, np.arange(40, dtype=np.int64) ** 2 % 3)


def batches_8(schedule: TrainingSchedule) -> ImageBatches:
    return ImageBatches(data=images_8(), schedule=schedule, seed=0)


def train_study(
    processes: Processes,
    name: str,
    batch_size: int,
    num_steps: int,
    *,
    device: str = "cpu",
    nan_anchors_at: int | None = None,
    compute: Compute = Compute(),  # noqa: B008 - immutable
) -> ProcessResult:
    """Train a study without gradient clipping. The result has the gradients of the last step."""
    build, step = STUDIES[name]
    model = build()
    for module in model.modules():
        if isinstance(module, SampleDropout):
            module.p = 0.15
    if nan_anchors_at is not None:
        _make_anchors_nan(model, processes, nan_anchors_at)
    schedule = TrainingSchedule(
        num_steps=num_steps,
        batch_size=batch_size,
        learning_rates={part: 1e-3 for part, _ in model.named_children()},
        warmup_steps=2,
        ema_decay=0.9,
        max_gradient_norm=1e6,
        random_flips=True,
        log_every=2,
    )
    batches = batches_8(schedule)
    result = train(
        model, step, batches, schedule, seed=0, processes=processes, compute=compute, device=device
    )
    return process_result(model, result)


def train_studies(processes: Processes) -> dict[str, dict[str, ProcessResult]]:
    """Train each study for one step on 14 samples, and for five steps on 13, so that shares are uneven."""
    return {
        name: {"step": train_study(processes, name, 14, 1), "training": train_study(processes, name, 13, 5)}
        for name in STUDIES
    }


def train_in_parts(processes: Processes, micro_batch_sizes: Sequence[int | None]) -> list[ProcessResult]:
    """Train the joint study for three steps on 13 samples, with each of these sizes."""
    return [
        train_study(processes, "joint", 13, 3, compute=Compute(micro_batch_size=size))
        for size in micro_batch_sizes
    ]


def train_studies_with_nan_anchors(processes: Processes) -> list[int]:
    """Return the numbers of skipped steps if anchors of the last process are NaN in the third step."""
    return [
        train_study(processes, name, 8, 5, nan_anchors_at=2).num_skipped_steps for name in ("rf_lzn", "joint")
    ]


def train_toy(
    processes: Processes,
    batch_size: int,
    folder: Path | None,
    stop_after: int | None,
    loss_factors: dict[int, float],
) -> ProcessResult | str:
    """Train the toy model; return its result or the message of an interruption.

    Only the last process requests to stop, after ``stop_after`` steps, and multiplies its losses by ``loss_factors``.
    """
    model, is_last = toy_model(seed=processes.rank), processes.rank == processes.count - 1
    finished, reports = [0], []

    def on_step(step: int) -> None:
        finished[0] = step

    schedule = replace(toy_schedule(), batch_size=batch_size, random_flips=True, snapshot_steps=(3,))
    checkpoints = None if folder is None else CheckpointFolder(folder)
    first_step = 0
    if checkpoints is not None and processes.is_first and (state := checkpoints.load_newest()):
        first_step = state["progress"]["step"]
    try:
        result = train(
            model,
            ToyStep(loss_factors if is_last else {}, first_step=first_step),
            toy_batches(schedule),
            schedule,
            seed=0,
            processes=processes,
            checkpoints=checkpoints,
            callbacks=TrainingCallbacks(
                on_step=on_step,
                on_snapshot=lambda step, weights: reports.append(f"snapshot {step}"),
                on_curve=lambda curve: reports.append(f"curve {len(curve)}"),
                should_stop=lambda: is_last and finished[0] == stop_after,
            ),
        )
    except TrainingInterruptedError as interruption:
        return str(interruption)
    return process_result(model, result, reports)


def train_toy_with_nan_gradient(processes: Processes) -> ProcessResult:
    """Train the toy model with finite losses and a NaN gradient in the last process's fifth step."""
    model = toy_model()
    toy_step = ToyStep()

    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        losses = toy_step(model, batch, random)
        if toy_step.calls == 5 and processes.rank == processes.count - 1:
            return Losses(losses.total + (0 * model.head.weight).sum().sqrt(), losses.metrics)
        return losses

    return process_result(
        model, train(model, step, toy_batches(), toy_schedule(), seed=0, processes=processes)
    )


def _make_anchors_nan(model: nn.Module, processes: Processes, step: int) -> None:
    calls = [0]

    def replace_by_nan(module: nn.Module, inputs: object, anchors: Tensor) -> Tensor:
        calls[0] += 1
        is_last = processes.rank == processes.count - 1
        return anchors * NAN if is_last and calls[0] == step + 1 else anchors

    model.get_submodule("encoder").register_forward_hook(replace_by_nan)
