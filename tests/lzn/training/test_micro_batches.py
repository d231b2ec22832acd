"""Micro-batches: the gradient of the whole batch, for all studies, with dropout, in parts of any size."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.models.parallel_training import (
    SOLVER,
    STUDIES,
    train_in_parts,
    train_study,
)
from lzn_testing.models.tiny_models import random_batch
from lzn_testing.models.toy_training import ToyStep, toy_batches, toy_model, toy_schedule
from lzn_testing.processes.real_processes import alone, run_in_processes
from torch import Tensor, nn

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom
from lzn.networks import DropoutKeys, SampleDropout
from lzn.studies import LatentSampler
from lzn.training import Batch, Compute, train
from lzn.training.gradients import gradients_of

LABELS = (0, 2, 2, 1, 2, 2, 1, 0, 0, 2, 1)
SIZES = (1, 3, 6)
by_study = pytest.mark.parametrize("name", STUDIES)


class DoubleRandom(BatchRandom):
    """The same random numbers in float64."""

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).double()

    def uniform(self, *shape: int) -> Tensor:
        return super().uniform(*shape).double()


def model_of(name: str) -> nn.Module:
    model: nn.Module = STUDIES[name][0]()
    for module in model.modules():
        if isinstance(module, SampleDropout):
            module.p = 0.15
    return model.train()


def noisy(images: Tensor, random: BatchRandom) -> Tensor:
    return images + 0.1 * random.normal(*images.shape[1:])


def step_of(name: str) -> Any:
    step = STUDIES[name][1]
    return replace(step, augment=noisy) if name == "representation" else step  # in the dtype of the images


def gradients(
    name: str, compute: Compute, dtype: torch.dtype = torch.float32, labels: Sequence[int] = LABELS
) -> dict[str, Tensor]:
    """Compute the gradients of one step of a study, by parameter, in float64; and the loss and metrics."""
    model, batch = model_of(name).to(dtype), random_batch(tuple(labels))
    compute.prepare(model)
    batch = Batch(batch.images.to(dtype), batch.labels)
    with gradients_of(
        model, step_of(name), compute, batch_size=len(labels), seed=3, device="cpu", processes=Processes()
    ) as add_gradients:
        losses = add_gradients(batch, 5)
    tensors = {name: p.grad.double() for name, p in model.named_parameters() if p.grad is not None}
    return tensors | {"loss": losses.total.detach(), **losses.metrics}


def relative_errors(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Return the error of each tensor, relative to its norm.

    Some gradients are zero up to rounding, such as those of biases before a softmax. So the norm is at least 1e-4 of
    that of all gradients.
    """
    assert actual.keys() == expected.keys()
    smallest = 1e-4 * sum(float(g.square().sum()) for g in expected.values()) ** 0.5
    return {
        name: float((actual[name] - g).norm() / g.norm().clamp(min=smallest)) for name, g in expected.items()
    }


@by_study
def test_in_float64_gradients_and_losses_equal_those_of_the_whole_batch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lzn.training.gradients.BatchRandom", DoubleRandom)
    expected = gradients(name, Compute(), torch.float64)
    for size in SIZES:
        actual = gradients(name, Compute(micro_batch_size=size), torch.float64)
        for tensor, error in relative_errors(actual, expected).items():
            assert error < 1e-8, (tensor, size)


@by_study
def test_in_float32_the_error_of_each_tensor_is_at_most_twice_that_of_the_whole_batch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = gradients(name, Compute())
    parts = {size: gradients(name, Compute(micro_batch_size=size)) for size in SIZES}
    monkeypatch.setattr("lzn.training.gradients.BatchRandom", DoubleRandom)
    exact = gradients(name, Compute(), torch.float64)
    own_errors = relative_errors(plain, exact)
    for size, actual in parts.items():
        for tensor, error in relative_errors(actual, exact).items():
            # The error of few numbers can be small by chance. The usual one, the median, is 2e-6 to 6e-6.
            assert error <= 2 * max(own_errors[tensor], 3e-6), (tensor, size)


def test_micro_batches_as_large_as_the_batch_change_nothing() -> None:
    expected = gradients("joint", Compute())
    actual = gradients("joint", Compute(micro_batch_size=len(LABELS)))
    assert all(torch.equal(actual[name], tensor) for name, tensor in expected.items())


def test_without_the_same_dropout_masks_the_gradient_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of other samples of the part's size would be silent."""
    expected = gradients("rf_lzn", Compute())
    keys_of_first_rows = lambda keys, rows: first_rows(keys, slice(0, rows.stop - rows.start))  # noqa: E731
    first_rows = DropoutKeys.of_rows
    monkeypatch.setattr(DropoutKeys, "of_rows", keys_of_first_rows)
    wrong = gradients("rf_lzn", Compute(micro_batch_size=3))
    assert max(relative_errors(wrong, expected).values()) > 0.1


@pytest.mark.parametrize("settings", [{"precision": "bfloat16"}, {"checkpoint_activations": True}])
def test_bfloat16_and_activation_checkpointing_work_with_micro_batches(settings: dict[str, Any]) -> None:
    expected = gradients("joint", Compute(**settings))
    actual = gradients("joint", Compute(micro_batch_size=3, **settings))
    # Bfloat16 has 8 bits, which the sums over the batch average.
    tolerance = 0.05 if "precision" in settings else 1e-3
    assert max(relative_errors(actual, expected).values()) < tolerance


class _Saved:
    """A tensor that autograd saved for a backward pass; counts the bytes of those that exist."""

    bytes_now = bytes_peak = 0

    def __init__(self, tensor: Tensor) -> None:
        # Detached: a node whose output keeps the node is never freed.
        self.tensor, self.num_bytes = tensor.detach(), tensor.numel() * tensor.element_size()
        _Saved.bytes_now += self.num_bytes
        _Saved.bytes_peak = max(_Saved.bytes_peak, _Saved.bytes_now)

    def __del__(self) -> None:
        _Saved.bytes_now -= self.num_bytes


def peak_of_saved_tensors(name: str, compute: Compute, num_samples: int) -> int:
    _Saved.bytes_now = _Saved.bytes_peak = 0
    with torch.autograd.graph.saved_tensors_hooks(_Saved, lambda saved: saved.tensor):
        gradients(name, compute, labels=[0, 1, 2, 1] * (num_samples // 4))
    return _Saved.bytes_peak


@by_study
def test_memory_for_activations_does_not_grow_with_the_batch(name: str) -> None:
    in_parts = [peak_of_saved_tensors(name, Compute(micro_batch_size=4), count) for count in (8, 32)]
    at_once = [peak_of_saved_tensors(name, Compute(), count) for count in (8, 32)]
    # The trajectories of latents, which grow with the batch, are small.
    assert in_parts[1] < 1.1 * in_parts[0]
    assert at_once[1] > 3 * at_once[0]


def test_gradients_of_two_processes_equal_those_of_one(tmp_path: Path) -> None:
    """Of 13 samples the processes hold 6 and 7: in parts of 6, one of them has one micro-batch and the other two."""
    expected = alone(train_in_parts, [None])[0]
    results = run_in_processes(2, train_in_parts, [2, 6], folder=tmp_path)
    for process in results:
        for result in process:
            norm = sum(float(g.square().sum()) for g in expected.gradients.values()) ** 0.5
            for name, gradient in result.gradients.items():
                # Float32 rounding, which Adam amplifies in the two steps before.
                assert float((gradient - expected.gradients[name]).norm()) < 1e-4 * norm, name
    for first, second in zip(*results, strict=True):
        assert all(torch.equal(first.weights[name], weight) for name, weight in second.weights.items())


def test_a_step_with_non_finite_anchors_is_skipped() -> None:
    result = train_study(Processes(), "joint", 8, 5, nan_anchors_at=4, compute=Compute(micro_batch_size=3))
    # The encoder is called twice for each of three micro-batches: its fifth call is in the first step.
    assert result.num_skipped_steps == 1


class WithDropout(nn.Module):
    """A model with PyTorch's dropout, whose masks are drawn from the global generator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5))


def test_random_numbers_of_an_encoder_are_the_same_in_both_of_its_calls() -> None:
    seen: list[Tensor] = []
    model = WithDropout()
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    step = replace(step_of("representation"), latents=LatentSampler(solver=SOLVER))
    compute = Compute(micro_batch_size=4)
    with gradients_of(
        model, step, compute, batch_size=11, seed=0, device="cpu", processes=Processes()
    ) as add_gradients:
        add_gradients(random_batch(LABELS), 0)
    assert len(seen) == 6
    assert all(torch.equal(first, again) for first, again in zip(seen[:3], seen[3:], strict=True))


def test_a_step_that_is_not_in_parts_is_an_error() -> None:
    with pytest.raises(ValueError, match="the training step is not a StepInParts"):
        train(
            toy_model(),
            ToyStep(),
            toy_batches(),
            toy_schedule(),
            seed=0,
            compute=Compute(micro_batch_size=2),
        )


def test_a_micro_batch_without_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="micro_batch_size must be at least 1, got 0"):
        Compute(micro_batch_size=0)
