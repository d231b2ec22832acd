"""A training uses PyTorch's global generator, with a seed for each step, and leaves the caller's state as it was."""

from collections.abc import Callable

import pytest
import torch
from lzn_testing.models.toy_training import ToyModel, ToyStep, run_toy, toy_model

from lzn.base.randomness import BatchRandom, seeded_global_generator
from lzn.training import Batch, Losses


def numbers_after(action: Callable[[], object]) -> list[float]:
    torch.manual_seed(77)
    action()
    return torch.rand(3).tolist()


def expected_numbers() -> list[float]:
    """Return numbers after the draws of a new model, which are the caller's."""
    return numbers_after(toy_model)


def test_training_does_not_change_the_state_of_the_callers_generator() -> None:
    assert numbers_after(run_toy) == expected_numbers()


def test_callbacks_draw_from_the_callers_generator() -> None:
    drawn: list[float] = []
    run_toy(on_step=lambda _: drawn.append(torch.rand(()).item()))
    torch.manual_seed(0)
    ToyModel()
    assert drawn == [torch.rand(()).item() for _ in drawn]


def test_the_state_is_restored_after_an_error_of_a_step() -> None:
    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        torch.rand(5)
        raise KeyError

    def failing_training() -> None:
        with pytest.raises(KeyError):
            run_toy(step)

    assert numbers_after(failing_training) == expected_numbers()


def test_the_backward_pass_of_a_step_also_has_the_steps_generator() -> None:
    def drawn_in_backward() -> list[float]:
        drawn: list[float] = []

        def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
            losses = ToyStep()(model, batch, random)
            losses.total.register_hook(lambda gradient: drawn.append(torch.rand(()).item()))
            return losses

        run_toy(step)
        return drawn

    first = drawn_in_backward()
    assert drawn_in_backward() == first
    assert len(set(first)) == len(first)


def test_numbers_inside_the_block_depend_only_on_the_seed() -> None:
    with seeded_global_generator(5, "cpu"):
        first = torch.rand(4)
    torch.rand(100)
    with seeded_global_generator(5, "cpu"):
        assert torch.equal(torch.rand(4), first)
