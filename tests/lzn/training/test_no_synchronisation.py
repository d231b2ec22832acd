"""A training step reads no value of a device, so that the host never waits for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from lzn_testing.models.parallel_training import STUDIES
from lzn_testing.models.tiny_models import NUM_CLASSES, tiny_representation
from lzn_testing.random_numbers import MetaRandom
from torch import nn

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom, derive_seed, seeded_global_generator
from lzn.data import SimCLRDistortions
from lzn.networks import SampleDropout
from lzn.training import Batch, Losses, TrainingSchedule
from lzn.training.gradient_sums import GradientSums
from lzn.training.gradients import add_gradients_of
from lzn.training.optimisation import apply_schedule, update
from lzn.training.state import TrainingState

NUM = 12
ALL_STUDIES: dict[str, Any] = {
    **STUDIES,
    "representation with SimCLR": (
        tiny_representation,
        replace(STUDIES["representation"][1], augment=SimCLRDistortions(blur_kernel=5)),
    ),
}
by_study = pytest.mark.parametrize("name", ALL_STUDIES)


def model_of(name: str) -> nn.Module:
    model: nn.Module = ALL_STUDIES[name][0]()
    for module in model.modules():
        if isinstance(module, SampleDropout):
            module.p = 0.15
    return model


def random_batch(device: str) -> Batch:
    images = torch.rand(NUM, 1, 8, 8, device=device) * 2 - 1
    return Batch(images, torch.arange(NUM, device=device) % NUM_CLASSES)


def schedule_of(model: nn.Module) -> TrainingSchedule:
    return TrainingSchedule(
        num_steps=3,
        batch_size=NUM,
        learning_rates={part: 1e-3 for part, _ in model.named_children()},
        warmup_steps=2,
        ema_decay=0.9,
    )


class PlainDescent(torch.optim.Optimizer):
    """Gradient descent, called like the fused Adam."""

    def __init__(self, groups: Any, *, fused: bool) -> None:
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=group["lr"])


@contextmanager
def synchronisation_is_an_error(device: str) -> Iterator[None]:
    """Raise an error for a call that waits for a CUDA device; the meta device has no values to wait for."""
    if device != "cuda":
        yield
        return
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def add_gradients(model: nn.Module, name: str, batch: Batch, random: BatchRandom) -> Losses:
    losses: Losses = ALL_STUDIES[name][1](model, batch, random)
    add_gradients_of(losses, GradientSums(model, Processes()), weight=1.0)
    return losses


def take_steps(name: str, device: str, random_of_step: Callable[[int], BatchRandom]) -> TrainingState:
    """Take all steps: losses, gradients, clipping, optimiser, averages and totals."""
    model = model_of(name).to(device)
    schedule, batch = schedule_of(model), random_batch(device)
    state = TrainingState.new(model, schedule, Processes(), seed=0, device=device)
    with synchronisation_is_an_error(device):
        for step in range(schedule.num_steps):
            apply_schedule(model, state.optimizer, schedule, step)
            random = random_of_step(step)
            with seeded_global_generator(derive_seed(0, "global", step), device):
                result = update(
                    model,
                    state.optimizer,
                    partial(add_gradients, model, name, batch, random),
                    share=random.share,
                    max_gradient_norm=1.0,
                )
            state.finish_step(result)
    return state


@by_study
def test_whole_steps_read_no_value_of_the_meta_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fused Adam has no kernel for this device.
    monkeypatch.setattr(torch.optim, "Adam", PlainDescent)
    state = take_steps(name, "meta", lambda step: MetaRandom(NUM))
    assert state.progress.step == 3
    assert state.device_totals.num_summed.device.type == "meta"
    assert all(p.grad is not None for p in state.model.parameters())


@pytest.mark.gpu
@by_study
def test_whole_steps_on_a_gpu_do_not_synchronise_with_it(name: str) -> None:
    state = take_steps(
        name,
        "cuda",
        lambda step: BatchRandom.for_whole_batch(NUM, torch.Generator(device="cuda").manual_seed(step)),
    )
    assert state.device_totals.read().num_summed == 3
