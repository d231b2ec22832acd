"""`train` takes any iterable of batches, dictionaries or dataclasses of tensors, and any module."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.models.toy_training import outcome_of
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from lzn.base.randomness import BatchRandom
from lzn.training import (
    CheckpointFolder,
    Losses,
    TrainingCallbacks,
    TrainingInterruptedError,
    TrainingSchedule,
    train,
)

SCHEDULE = TrainingSchedule(
    num_steps=7, batch_size=4, learning_rates={"": 1e-2}, warmup_steps=2, ema_decay=0.9, log_every=3
)
INPUTS = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
TARGETS = INPUTS @ torch.tensor([[1.0], [2.0], [3.0]])
DICTIONARIES = [{"x": INPUTS[k : k + 4], "y": {"value": TARGETS[k : k + 4]}} for k in (0, 4, 8)]


def regression(model: nn.Module, batch: Any, random: BatchRandom) -> Losses:
    return Losses(functional.mse_loss(model(batch["x"]), batch["y"]["value"]))


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def batches_of_steps(batches: Iterable[Any]) -> list[float]:
    """Return the first number of each step's batch."""
    seen: list[float] = []

    def step(model: nn.Module, batch: Any, random: BatchRandom) -> Losses:
        seen.append(batch["x"][0, 0].item())
        return regression(model, batch, random)

    train(linear(), step, batches, SCHEDULE, seed=0)
    return seen


FIRST = [float(batch["x"][0, 0]) for batch in DICTIONARIES]


def test_an_iterable_is_iterated_again_for_the_next_epoch() -> None:
    assert batches_of_steps(DICTIONARIES) == [*FIRST, *FIRST, FIRST[0]]


def test_an_endless_iterator_is_read_once_and_not_further_than_needed() -> None:
    read: list[int] = []

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            for batch in DICTIONARIES:
                read.append(0)
                yield batch

    assert batches_of_steps(endless()) == [*FIRST, *FIRST, FIRST[0]]
    assert len(read) == SCHEDULE.num_steps


def test_a_data_loader_of_pytorch_trains_any_module() -> None:
    def step(model: nn.Module, batch: list[Tensor], random: BatchRandom) -> Losses:
        return Losses(functional.mse_loss(model(batch[0]), batch[1]))

    loader = DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=4)
    expected = outcome_of(model := linear(), train(model, regression, DICTIONARIES, SCHEDULE, seed=0))
    actual = outcome_of(model := linear(), train(model, step, loader, SCHEDULE, seed=0))
    assert actual == expected


def test_a_resumed_training_skips_the_batches_before_its_step(tmp_path: Path) -> None:
    folder, finished = CheckpointFolder(tmp_path), [0]
    callbacks = TrainingCallbacks(on_step=finished.append, should_stop=lambda: finished[-1] == 5)
    with pytest.raises(TrainingInterruptedError):
        train(linear(), regression, DICTIONARIES, SCHEDULE, seed=0, checkpoints=folder, callbacks=callbacks)
    resumed = outcome_of(
        model := linear(), train(model, regression, DICTIONARIES, SCHEDULE, seed=0, checkpoints=folder)
    )
    expected = outcome_of(model := linear(), train(model, regression, DICTIONARIES, SCHEDULE, seed=0))
    assert resumed == expected


def test_the_result_has_the_raw_weights_beside_the_averages() -> None:
    seen: list[dict[str, Tensor]] = []
    model = linear()

    def keep(step: int) -> None:
        seen.append({name: p.detach().clone() for name, p in model.state_dict().items()})

    result = train(
        model, regression, DICTIONARIES, SCHEDULE, seed=0, callbacks=TrainingCallbacks(on_step=keep)
    )
    assert all(torch.equal(result.raw_weights[name], weight) for name, weight in seen[-1].items())
    assert not torch.equal(model.weight, result.raw_weights["weight"])


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (
            [{"x": INPUTS[:3], "y": TARGETS[:4]}],
            r"step 0 has x of shape \(3, 3\), but .* batch_size=4 is 4 samples",
        ),
        ([{"x": INPUTS[:4], "n": torch.tensor(1)}], r"has n of shape \(\)"),
        ([{"x": "text"}], "has no tensors: it must be a dictionary or a dataclass"),
        (iter(DICTIONARIES), "no batch for step 3 of 7: give an iterable that can be iterated again"),
        ([], "no batch for step 0 of 7"),
    ],
)
def test_wrong_batches_are_errors_that_name_the_step(batches: Iterable[Any], message: str) -> None:
    def step(model: nn.Module, batch: Any, random: BatchRandom) -> Losses:
        return Losses(model(batch["x"]).mean())

    with pytest.raises(ValueError, match=message):
        train(linear(), step, batches, SCHEDULE, seed=0)


def test_submodules_can_have_their_own_learning_rates() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), nn.Linear(2, 1))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rates = {"": 1e-3, "0": 1e-2, "0.1.bias": 1e-1}
    train(
        model,
        regression,
        DICTIONARIES,
        replace(SCHEDULE, num_steps=1, warmup_steps=1, learning_rates=rates),
        seed=0,
    )
    # Adam's first update is the learning rate, up to its epsilon; d = 2 / 11 is the first decay of the averages.
    moves = {
        name: float((p - before[name]).detach().abs().max()) * 11 / 9 for name, p in model.named_parameters()
    }
    expected = {"0.0.weight": 1e-2, "0.0.bias": 1e-2, "0.1.weight": 1e-2, "0.1.bias": 1e-1, "1.weight": 1e-3}
    assert moves == pytest.approx({**expected, "1.bias": 1e-3}, rel=1e-3)


class Tied(nn.Module):
    """A model whose two layers have one weight."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.last = nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.second(self.first(x)))
        return y


def test_a_shared_parameter_has_its_average_under_both_names() -> None:
    model, snapshots = Tied(), []
    callbacks = TrainingCallbacks(on_snapshot=lambda step, weights: snapshots.append(weights))
    train(
        model, regression, DICTIONARIES, replace(SCHEDULE, snapshot_steps=(7,)), seed=0, callbacks=callbacks
    )
    for name in ("first.weight", "second.weight"):
        assert torch.equal(snapshots[0][name], model.first.weight)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (
            {"first": 1e-3, "last": 1e-3},
            r"must name the model's parts \['first', 'last', 'second'\], or their",
        ),
        ({"": 1e-3, "missing": 1e-3}, "must name the model's parts"),
        ({"first": 1e-3, "second": 1e-3, "last": 1e-3}, "first and second share the parameter second.weight"),
    ],
)
def test_learning_rates_that_do_not_fit_the_model_are_errors(rates: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(Tied(), regression, DICTIONARIES, replace(SCHEDULE, learning_rates=rates), seed=0)
