"""A training step reads no value of a device, so that the host never waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from lzn.training import Batch, TrainingSchedule
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
    return Batch.whole(images, torch.arange(NUM, device=device) % NUM_CLASSES)


def schedule_of(model: nn.Module) -> TrainingSchedule:
    return TrainingSchedule(
        num_steps=3,
        batch_size=NUM,
        learning_rates={part: 1e-3 for part, _ in model.named_children()},
        warmup_steps=2,
        ema_decay=0.9,
    )


@by_study
def test_the_losses_of_a_step_and_their_gradients_read_no_value(name: str) -> None:
    model = model_of(name).to("meta")
    losses = ALL_STUDIES[name][1](model, random_batch("meta"), MetaRandom(NUM))
    losses.total.backward()
    assert losses.total.device.type == "meta"
    assert all(p.grad is not None for p in model.parameters())


@contextmanager
def synchronisation_is_an_error() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@by_study
def test_whole_steps_on_a_gpu_do_not_synchronise_with_it(name: str) -> None:
    """Losses, gradients, optimiser, averages and totals, from the first step on."""
    model = model_of(name).cuda()
    schedule, batch = schedule_of(model), random_batch("cuda")
    state = TrainingState.new(model, schedule, Processes(), seed=0, device="cuda")
    torch.cuda.synchronize()
    for step in range(schedule.num_steps):
        with synchronisation_is_an_error(), seeded_global_generator(derive_seed(0, "global", step), "cuda"):
            apply_schedule(model, state.optimizer, schedule, step)
            random = BatchRandom(torch.Generator(device="cuda").manual_seed(step), batch.share)
            result = update(
                model,
                state.optimizer,
                lambda random=random: ALL_STUDIES[name][1](model, batch, random),
                share=batch.share,
                max_gradient_norm=1.0,
            )
            state.finish_step(result)
    assert state.device_totals.read().num_summed == schedule.num_steps
