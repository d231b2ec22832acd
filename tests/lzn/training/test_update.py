"""One step of the optimiser: skipped on the device, and to the last bit."""

import copy
from typing import Any

import pytest
import torch
from lzn_testing.models.toy_training import ToyModel, toy_model, toy_schedule

from lzn.base.parallel import BatchShare
from lzn.flow import NonFiniteAnchorsError
from lzn.training import Losses
from lzn.training.optimisation import Outcome, build_optimizer, update

NAN = float("nan")
SHARE = BatchShare.whole(4)


def step(model: ToyModel, optimizer: torch.optim.Optimizer, factor: float) -> Outcome | None:
    def losses() -> Losses:
        total = model.head(model.encoder(torch.linspace(0, 1, 64).view(4, 16))).square().mean()
        return Losses(factor * total, {"total": total.detach()})

    return update(model, optimizer, losses, share=SHARE, max_gradient_norm=1.0)


def everything(model: ToyModel, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    return copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


def assert_equal(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_equal(found[key], value)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf")])
@pytest.mark.parametrize("num_steps_before", [1, 3])
def test_a_skipped_step_leaves_parameters_moments_and_step_counts_unchanged(
    bad: float, num_steps_before: int
) -> None:
    model = toy_model().eval()
    optimizer = build_optimizer(model, toy_schedule())
    for _ in range(num_steps_before):
        step(model, optimizer, 1.0)
    before = everything(model, optimizer)
    outcome = step(model, optimizer, bad)
    assert outcome is not None
    assert not outcome.accepted
    assert_equal(everything(model, optimizer), before)


def test_steps_around_a_skipped_one_are_those_of_a_training_without_it() -> None:
    states = []
    for factors in ((1.0, NAN, 0.5), (1.0, 0.5), (NAN, 1.0, 0.5)):
        model = toy_model().eval()
        optimizer = build_optimizer(model, toy_schedule())
        for factor in factors:
            step(model, optimizer, factor)
        states.append(everything(model, optimizer))
    assert_equal(states[1], states[0])
    assert_equal(states[2], states[0])


def test_the_outcome_has_loss_and_watched_values() -> None:
    model = toy_model().eval()
    outcome = step(model, build_optimizer(model, toy_schedule()), 2.0)
    assert outcome is not None
    assert bool(outcome.accepted)
    assert list(outcome.values) == ["loss", "total"]
    assert outcome.values["loss"].item() == pytest.approx(2 * outcome.values["total"].item(), rel=1e-6)


def test_anchors_that_are_not_finite_leave_everything_unchanged() -> None:
    model = toy_model()
    optimizer = build_optimizer(model, toy_schedule())
    step(model, optimizer, 1.0)
    before = everything(model, optimizer)

    def losses() -> Losses:
        raise NonFiniteAnchorsError

    assert update(model, optimizer, losses, share=SHARE, max_gradient_norm=1.0) is None
    assert_equal(everything(model, optimizer), before)
