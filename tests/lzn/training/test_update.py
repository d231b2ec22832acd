"""One optimiser step: a skipped step changes nothing, bit for bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lzn_testing.models.toy_training import ToyModel, toy_model, toy_schedule
from torch import nn

from lzn.base.parallel import BatchShare
from lzn.flow import NonFiniteAnchorsError
from lzn.training import Losses
from lzn.training.optimisation import UpdateResult, apply_schedule, build_optimizer, update

NAN = float("nan")
SHARE = BatchShare.whole(4)


def step(model: ToyModel, optimizer: torch.optim.Optimizer, factor: float) -> UpdateResult | None:
    def losses() -> Losses:
        total = model.head(model.encoder(torch.linspace(0, 1, 64).view(4, 16))).square().mean()
        return Losses(factor * total, {"total": total.detach()})

    return update(model, optimizer, with_gradients(losses), share=SHARE, max_gradient_norm=1.0)


def with_gradients(compute_losses: Callable[[], Losses]) -> Callable[[], Losses]:
    """Return a function that computes losses and runs their backward pass."""

    def add_gradients() -> Losses:
        losses = compute_losses()
        losses.total.backward()
        return losses

    return add_gradients


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


class WithOwnParameters(ToyModel):
    """The toy model with parameters directly on the model."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.shift = nn.Parameter(torch.zeros(2))

    def losses(self) -> Losses:
        features = self.encoder(torch.linspace(0, 1, 64).view(4, 16))
        return Losses((self.scale * self.head(features) + self.shift - 1).square().mean())


RATES = {"encoder": 1e-2, "head": 2e-2, "scale": 3e-2, "shift": 4e-2}


def test_parameters_directly_on_a_model_are_trained_with_their_own_learning_rates() -> None:
    torch.manual_seed(0)
    model, schedule = WithOwnParameters().eval(), toy_schedule(learning_rates=RATES, warmup_steps=1)
    optimizer = build_optimizer(model, schedule)
    apply_schedule(model, optimizer, schedule, 0)
    update(model, optimizer, with_gradients(model.losses), share=SHARE, max_gradient_norm=1.0)
    # Adam's first update is the learning rate, up to its epsilon.
    assert abs(model.scale.item() - 1) == pytest.approx(3e-2, rel=1e-3)
    assert model.shift.abs().tolist() == pytest.approx([4e-2, 4e-2], rel=1e-3)


def test_gradients_of_parameters_directly_on_a_model_are_those_of_one_step() -> None:
    torch.manual_seed(0)
    model = WithOwnParameters().eval()
    optimizer = build_optimizer(model, toy_schedule(learning_rates=dict.fromkeys(RATES, 1e-30)))
    gradients = []
    for _ in range(2):
        update(model, optimizer, with_gradients(model.losses), share=SHARE, max_gradient_norm=1e6)
        assert model.shift.grad is not None
        gradients.append(model.shift.grad.clone())
    assert torch.equal(*gradients)


def test_parameters_directly_on_a_model_can_be_frozen() -> None:
    torch.manual_seed(0)
    model = WithOwnParameters().eval()
    schedule = toy_schedule(learning_rates=RATES, freeze_after={"scale": 1, "encoder": 2})
    optimizer = build_optimizer(model, schedule)
    apply_schedule(model, optimizer, schedule, 1)
    assert not model.scale.requires_grad
    assert model.shift.requires_grad
    assert all(p.requires_grad for p in model.encoder.parameters())


def test_a_parameter_without_a_learning_rate_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"must name the model's parts \['encoder', 'head', 'scale', 'shift'\], or their"
    ):
        build_optimizer(WithOwnParameters(), toy_schedule())


def test_a_parameter_of_two_parts_is_an_error() -> None:
    model = toy_model()
    model.head.weight = model.encoder[1].weight
    with pytest.raises(ValueError, match=r"encoder and head share the parameter head\.weight"):
        build_optimizer(model, toy_schedule())
