"""One optimiser step: a skipped step changes nothing, bit for bit."""

import copy
from typing import Any

import pytest
import torch
from lzn_testing.models.toy_training import ToyModel, toy_model, toy_schedule

from lzn.base.parallel import BatchShare
from lzn.flow import NonFiniteAnchorsError
from lzn.training import Losses
from lzn.training.optimisation import UpdateResult, build_optimizer, update

NAN = float("nan")
SHARE = BatchShare.whole(4)


def step(model: ToyModel, optimizer: torch.optim.Optimizer, factor: float) -> UpdateResult | None:
    def losses() -> Losses:
        total = model.head(model.encoder(torch.linspace(0, 1, 64).view(4, 16))).square().mean()
        return Losses(factor * total, {"total": total.detach()})

    return update(model, optimizer, losses, share=SHARE, max_gradient_norm=1.0)


def state_of(model: ToyModel, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


def assert_equal(actual: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            assert_equal(actual[key], value)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(actual, expected)
    else:
        assert actual == expected


@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf")])
@pytest.mark.parametrize("num_steps_before", [1, 3])
def test_a_skipped_step_does_not_change_parameters_moments_and_step_counts(
    bad: float, num_steps_before: int
) -> None:
    model = toy_model().eval()
    optimizer = build_optimizer(model, toy_schedule())
    for _ in range(num_steps_before):
        step(model, optimizer, 1.0)
    before = state_of(model, optimizer)
    result = step(model, optimizer, bad)
    assert result is not None
    assert not result.accepted
    assert_equal(state_of(model, optimizer), before)


def test_a_skipped_step_does_not_change_later_steps() -> None:
    states = []
    for factors in ((1.0, NAN, 0.5), (1.0, 0.5), (NAN, 1.0, 0.5)):
        model = toy_model().eval()
        optimizer = build_optimizer(model, toy_schedule())
        for factor in factors:
            step(model, optimizer, factor)
        states.append(state_of(model, optimizer))
    assert_equal(states[1], states[0])
    assert_equal(states[2], states[0])


def test_the_result_contains_the_loss_and_the_metrics() -> None:
    model = toy_model().eval()
    result = step(model, build_optimizer(model, toy_schedule()), 2.0)
    assert result is not None
    assert bool(result.accepted)
    assert list(result.values) == ["loss", "total"]
    assert result.values["loss"].item() == pytest.approx(2 * result.values["total"].item(), rel=1e-6)


def test_anchors_that_are_not_finite_change_nothing() -> None:
    model = toy_model()
    optimizer = build_optimizer(model, toy_schedule())
    step(model, optimizer, 1.0)
    before = state_of(model, optimizer)

    def losses() -> Losses:
        raise NonFiniteAnchorsError

    assert update(model, optimizer, losses, share=SHARE, max_gradient_norm=1.0) is None
    assert_equal(state_of(model, optimizer), before)
