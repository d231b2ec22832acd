"""The estimated memory of a training is that of its tensors, and does not grow where it should not."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from lzn_testing import PROJECT
from lzn_testing.random_numbers import batch_random_for

from lzn.networks import checkpoint_activations, keyed_dropout
from lzn.runs.configuration import AnyRun
from lzn.training import Batch, Compute
from pipelines.check import read_params
from pipelines.memory_estimate import GIB, MemoryEstimate, estimate_memory

BATCH = 8
TOLERANCE = 0.2
"""The estimate has no workspace of convolutions and no other order of a tensor's elements, which kernels choose."""


def run_of(file: str, name: str, *, batch_size: int = BATCH, **compute: Any) -> AnyRun:
    run: AnyRun = read_params(PROJECT / file).runs[name]
    training = replace(run.training, batch_size=batch_size)
    return run.model_copy(update={"training": training, "compute": Compute(**compute)})


def estimate(run: AnyRun, *, image_size: int = 8, num_processes: int = 1) -> MemoryEstimate:
    return estimate_memory(run, num_classes=10, image_size=image_size, num_processes=num_processes)


def measured_peak(run: AnyRun, image_size: int) -> int:
    """Return the peak of all bytes that PyTorch allocates in a step on the CPU, after the model is built."""
    model = run.build_model(10).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.compute.checkpoint_activations:
        checkpoint_activations(model)
    channels = run.encoder.image_channels if run.study == "representation" else run.unet.image_channels
    with torch.profiler.profile(profile_memory=True) as profile:
        batch = Batch(torch.rand(BATCH, channels, image_size, image_size), torch.arange(BATCH))
        with keyed_dropout(model, BATCH, "cpu"):
            run.build_step()(model, batch, batch_random_for(BATCH)).total.backward()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


CASES = [
    pytest.param("params.yaml", "rf", 8, {}, id="digits, rf"),
    pytest.param("params.yaml", "rf_lzn", 8, {}, id="digits, rf_lzn"),
    pytest.param("params.yaml", "representation", 8, {}, id="digits, representation"),
    pytest.param("params.yaml", "joint", 8, {}, id="digits, joint"),
    pytest.param("sizes/fashion.yaml", "fashion_rf_lzn", 28, {}, id="fashion", marks=pytest.mark.slow),
    pytest.param("sizes/paper.yaml", "cifar10_rf_lzn", 32, {}, id="CIFAR10", marks=pytest.mark.slow),
    pytest.param(
        "sizes/fashion.yaml",
        "fashion_rf_lzn",
        28,
        {"checkpoint_activations": True},
        id="fashion, activations checkpointed",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("file", "name", "image_size", "compute"), CASES)
def test_the_estimate_of_a_step_is_its_measured_peak(
    file: str, name: str, image_size: int, compute: dict[str, Any]
) -> None:
    run = run_of(file, name, **compute)
    image_size = image_size if run.study == "representation" else run.unet.image_size
    estimated = estimate(run, image_size=image_size).step
    assert estimated == pytest.approx(measured_peak(run, image_size), rel=TOLERANCE)


def test_the_state_is_parameters_two_moments_and_averages_in_float64() -> None:
    run = run_of("params.yaml", "rf")
    model = run.build_model(10)
    assert not list(model.buffers())
    assert estimate(run).state == sum(parameter.nbytes for parameter in model.parameters()) * (1 + 2 + 2)


def test_bfloat16_and_checkpointed_activations_need_less() -> None:
    plain = estimate(run_of("params.yaml", "joint", batch_size=256)).step
    assert estimate(run_of("params.yaml", "joint", batch_size=256, precision="bfloat16")).step < plain
    assert estimate(run_of("params.yaml", "joint", batch_size=256, checkpoint_activations=True)).step < plain


def test_micro_batches_need_the_memory_of_one() -> None:
    whole = estimate(run_of("params.yaml", "joint", batch_size=256)).step
    parts = estimate(run_of("params.yaml", "joint", batch_size=256, micro_batch_size=32)).step
    of_two = estimate(
        run_of("params.yaml", "joint", batch_size=512, micro_batch_size=32), num_processes=2
    ).step
    assert parts < whole / 3
    assert of_two == pytest.approx(parts, rel=0.1)  # the anchors of the other process are small


def test_of_two_processes_each_needs_about_half_of_the_activations() -> None:
    run = run_of("params.yaml", "rf_lzn", batch_size=256)
    one, two = estimate(run), estimate(run, num_processes=2)
    assert two.state == one.state
    assert two.step == pytest.approx(one.step / 2, rel=0.1)  # both hold the whole gradient and all anchors


def test_a_step_of_the_papers_size_is_estimated_without_allocating_it() -> None:
    run: AnyRun = read_params(PROJECT / "sizes/paper.yaml").runs["cifar10_rf_lzn"]
    assert estimate(run, image_size=32).step > 200 * GIB  # 2000 images
