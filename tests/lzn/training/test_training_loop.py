"""The training loop without interruptions: parameters, averages, curve, skipped steps, randomness."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from lzn_testing.models.toy_training import (
    ToyModel,
    ToyStep,
    run_toy,
    toy_batches,
    toy_images,
    toy_model,
    toy_schedule,
)
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom
from lzn.data import batch_indices, dequantise
from lzn.flow import compute_latents
from lzn.training import Batch, Losses, TrainingCallbacks, TrainingDivergedError, train

NAN = float("nan")


class Scalars(nn.Module):
    """A model of two parts with one number each."""

    def __init__(self, a: float = 0.0, b: float = 0.0) -> None:
        super().__init__()
        self.encoder = nn.Linear(1, 1, bias=False)
        self.head = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.encoder.weight, a)
        nn.init.constant_(self.head.weight, b)

    @property
    def numbers(self) -> tuple[float, float]:
        return self.encoder.weight.item(), self.head.weight.item()


def linear_loss(a: float, b: float) -> Callable[[Scalars, Batch, BatchRandom], Losses]:
    """Return a training step whose loss has the constant gradient (a, b)."""
    return lambda model, batch, random: Losses((a * model.encoder.weight + b * model.head.weight).sum())


def parameters_after_each_step(
    step: Callable[[ToyModel, Batch, BatchRandom], Losses], **changes: object
) -> tuple[list[dict[str, Tensor]], ToyModel]:
    """Return the parameters after 0, 1, ... steps, and the trained model."""
    model, seen = toy_model(), []

    def record(_: int) -> None:
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})

    schedule = toy_schedule(**changes)
    train(
        model,
        step,
        toy_batches(schedule),
        schedule,
        seed=0,
        callbacks=TrainingCallbacks(on_step=record),
    )
    return seen, model


def test_each_part_has_its_learning_rate_with_warm_up() -> None:
    # Adam's update with a constant gradient is the learning rate, up to its epsilon of 1e-8.
    model, seen = Scalars(), []
    schedule = toy_schedule(num_steps=5, warmup_steps=4, learning_rates={"encoder": 0.01, "head": 0.1})
    train(
        model,
        linear_loss(0.3, 0.4),
        toy_batches(schedule),
        schedule,
        seed=0,
        callbacks=TrainingCallbacks(on_step=lambda _: seen.append(model.numbers)),
    )
    moves = [(a - c, b - d) for (a, b), (c, d) in pairwise(seen)]
    factors = [0.25, 0.5, 0.75, 1.0, 1.0]
    # Float32 numbers around 0.35 have a spacing of 3e-8.
    assert [move[0] for move in moves] == pytest.approx([0.01 * f for f in factors], abs=1e-7)
    assert [move[1] for move in moves] == pytest.approx([0.1 * f for f in factors], abs=1e-7)


@pytest.mark.parametrize(
    ("gradient", "limit", "clipped"),
    [((300.0, 400.0), 1.0, (0.6, 0.8)), ((0.3, 0.4), 1.0, (0.3, 0.4)), ((3.0, 4.0), 2.5, (1.5, 2.0))],
)
def test_the_norm_over_all_parts_is_clipped(
    gradient: tuple[float, float], limit: float, clipped: tuple[float, float]
) -> None:
    model = Scalars()
    schedule = toy_schedule(num_steps=1, max_gradient_norm=limit)
    train(model, linear_loss(*gradient), toy_batches(schedule), schedule, seed=0)
    used = tuple(parameter.grad.item() for parameter in model.parameters() if parameter.grad is not None)
    # PyTorch divides by the norm plus 1e-6.
    assert used == pytest.approx(clipped, rel=2e-6)


def test_the_optimiser_gets_clipped_gradients() -> None:
    """A huge gradient is followed by small ones. Without clipping, its second moment would reduce their updates."""
    model, seen = Scalars(), []
    factors = iter([1000.0, 1.0, 1.0])

    def loss(model: Scalars, batch: Batch, random: BatchRandom) -> Losses:
        return Losses(next(factors) * (0.6 * model.encoder.weight + 0.8 * model.head.weight).sum())

    schedule = toy_schedule(num_steps=3, warmup_steps=1, learning_rates={"encoder": 0.1, "head": 0.1})
    callbacks = TrainingCallbacks(on_step=lambda _: seen.append(model.numbers))
    train(model, loss, toy_batches(schedule), schedule, seed=0, callbacks=callbacks)
    assert [a for a, _ in seen] == pytest.approx([0.0, -0.1, -0.2, -0.3], abs=1e-6)


def test_the_loss_decreases_and_the_averaged_model_separates_the_classes() -> None:
    model = toy_model()
    schedule = toy_schedule(num_steps=150, log_every=25)
    result = train(model, ToyStep(), toy_batches(schedule), schedule, seed=0)
    losses = [point.values["loss"] for point in result.curve]
    assert losses[-1] < 0.5 * losses[0]
    model.eval()
    data = toy_images()
    predicted = model.head(model.encoder(dequantise(data.images))).argmax(dim=1)
    # The classes differ by 100 levels in half of the pixels, so they are linearly separable.
    assert (predicted.numpy() == data.labels).mean() > 0.95


def test_after_training_the_parameters_of_the_model_are_their_averages() -> None:
    seen, model = parameters_after_each_step(ToyStep())
    expected = {name: value.double() for name, value in seen[0].items()}
    for k, after in enumerate(seen[1:], start=1):
        d = min(0.9, (1 + k) / (10 + k))
        expected = {name: d * expected[name] + (1 - d) * value.double() for name, value in after.items()}
    for name, parameter in model.named_parameters():
        # 13 updates of numbers below 1, each with float32 rounding.
        torch.testing.assert_close(parameter.detach().double(), expected[name], rtol=0, atol=13 * 6e-8)


def test_points_of_the_curve_are_means_over_their_steps_and_the_last_is_at_the_last_step() -> None:
    losses: list[float] = []

    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        computed = ToyStep()(model, batch, random)
        losses.append(computed.total.item())
        return computed

    curve = run_toy(step, schedule=toy_schedule(num_steps=10, log_every=4)).curve
    assert [point for point, _ in curve] == [4, 8, 10]
    expected = [sum(losses[:4]) / 4, sum(losses[4:8]) / 4, sum(losses[8:]) / 2]
    assert [values["loss"] for _, values in curve] == pytest.approx(expected, rel=1e-12)
    assert all(values.keys() == {"loss", "mean_logit", "skipped_steps"} for _, values in curve)


def test_a_step_gets_the_batch_of_its_number() -> None:
    data, batches = toy_images(), []

    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        batches.append(batch)
        return ToyStep()(model, batch, random)

    run_toy(step, seed=3)
    for number, batch in enumerate(batches):
        chosen = batch_indices(number, num_samples=len(data), batch_size=8, seed=3).numpy()
        assert torch.equal(batch.images, dequantise(data.images[chosen]))
        assert batch.labels.tolist() == data.labels[chosen].tolist()


def test_random_flips_flip_some_images_and_are_off_by_default() -> None:
    def batches(**changes: object) -> list[Tensor]:
        seen: list[Tensor] = []

        def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
            seen.append(batch.images)
            return ToyStep()(model, batch, random)

        run_toy(step, schedule=toy_schedule(**changes))
        return seen

    plain, flipped = torch.cat(batches()), torch.cat(batches(random_flips=True))
    is_flipped = (flipped == plain.flip(3)).flatten(1).all(dim=1)
    is_same = (flipped == plain).flatten(1).all(dim=1)
    assert bool((is_flipped ^ is_same).all())
    assert bool(is_flipped.any())
    assert bool(is_same.any())


def test_every_step_has_other_random_numbers_which_depend_only_on_the_seed() -> None:
    def numbers(seed: int) -> list[tuple[float, float]]:
        seen: list[tuple[float, float]] = []

        def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
            global_number = torch.rand(()).item()
            seen.append((random.uniform()[0].item(), global_number))
            return ToyStep()(model, batch, random)

        run_toy(step, seed=seed)
        return seen

    assert numbers(0) == numbers(0)
    assert len({number for pair in (*numbers(0), *numbers(1)) for number in pair}) == 2 * 2 * 13


def test_a_training_depends_only_on_its_seed() -> None:
    first = run_toy()
    torch.manual_seed(12345)  # the state of the global generator does not matter
    assert run_toy() == first
    assert run_toy(seed=1) != first


def test_on_step_is_called_with_every_number_of_finished_steps() -> None:
    steps: list[int] = []
    run_toy(on_step=steps.append)
    assert steps == list(range(14))


def test_a_step_with_a_non_finite_loss_changes_no_parameter_and_is_counted() -> None:
    seen, model = parameters_after_each_step(ToyStep({4: NAN, 5: float("inf")}))
    for bad in (4, 5):
        assert all(torch.equal(before, seen[bad + 1][name]) for name, before in seen[bad].items())
    assert any(not torch.equal(before, seen[7][name]) for name, before in seen[6].items())
    outcome = run_toy(ToyStep({4: NAN, 5: float("inf")}))
    assert outcome.num_skipped_steps == 2
    # The second point (steps 5 to 8) is the mean of two good steps.
    assert [values["skipped_steps"] for _, values in outcome.curve] == [0, 2, 2, 2]
    assert all(values["loss"] == values["loss"] for _, values in outcome.curve)
    assert all(torch.equal(outcome.weights[name], p) for name, p in model.state_dict().items())


def test_averages_do_not_change_in_a_skipped_step() -> None:
    bad_from_3_on = ToyStep(dict.fromkeys(range(3, 13), NAN))
    stopped_at_3 = run_toy(schedule=toy_schedule(num_steps=3))
    skipping = run_toy(bad_from_3_on, schedule=toy_schedule(max_bad_steps=11))
    assert all(torch.equal(skipping.weights[name], value) for name, value in stopped_at_3.weights.items())


def test_a_point_of_the_curve_without_accepted_steps_is_left_out() -> None:
    outcome = run_toy(ToyStep(dict.fromkeys(range(4, 8), NAN)))
    assert [step for step, _ in outcome.curve] == [4, 12, 13]


def test_a_non_finite_gradient_of_a_finite_loss_is_skipped() -> None:
    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        losses = good(model, batch, random)
        if good.calls == 5:
            return Losses(losses.total + (0 * model.head.weight).sum().sqrt())  # its derivative is 0 / 0
        return losses

    good = ToyStep()
    seen, model = parameters_after_each_step(step)
    assert all(torch.equal(before, seen[5][name]) for name, before in seen[4].items())
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_anchors_that_are_not_finite_count_as_a_non_finite_loss() -> None:
    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        losses = good(model, batch, random)
        if good.calls == 5:
            compute_latents(torch.full((2, 3), NAN), torch.zeros(2, 3))
        return losses

    good = ToyStep()
    assert run_toy(step).num_skipped_steps == 1


def test_other_errors_of_a_step_are_raised() -> None:
    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        compute_latents(torch.zeros(2, 3), torch.zeros(2, 4))
        raise AssertionError("unreachable")

    with pytest.raises(ValueError, match="noise must have 3 columns"):
        run_toy(step)


def test_too_many_bad_steps_in_a_row_end_the_run_at_the_next_reading_of_values() -> None:
    bad = ToyStep(dict.fromkeys((4, 5, 6), NAN))
    with pytest.raises(
        TrainingDivergedError, match="3 steps in a row, up to step 8; lower the learning rates"
    ):
        run_toy(bad, schedule=toy_schedule(max_bad_steps=3))


def test_bad_steps_that_are_not_in_a_row_do_not_end_the_run() -> None:
    bad = ToyStep(dict.fromkeys((1, 2, 4, 5, 7, 8, 10, 11), NAN))
    assert run_toy(bad, schedule=toy_schedule(max_bad_steps=3)).num_skipped_steps == 8


def test_a_part_is_frozen_after_its_number_of_steps_and_the_others_are_trained() -> None:
    seen, model = parameters_after_each_step(ToyStep(), freeze_after={"encoder": 6})
    encoder = [after["encoder.1.weight"] for after in seen]
    head = [after["head.weight"] for after in seen]
    assert [torch.equal(a, b) for a, b in pairwise(encoder)] == [False] * 6 + [True] * 7
    assert not any(torch.equal(a, b) for a, b in pairwise(head))
    stopped_at_6 = run_toy(schedule=toy_schedule(num_steps=6))
    assert torch.equal(model.encoder[1].weight, stopped_at_6.weights["encoder.1.weight"])  # the average


def test_a_batch_larger_than_the_data_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"batch_size must lie in \[1, 40\]"):
        run_toy(schedule=toy_schedule(batch_size=41))
