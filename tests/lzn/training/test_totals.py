"""Sums on the device, against sums by hand."""

import pytest
import torch

from lzn.training.optimisation import Outcome
from lzn.training.tally import Tally, Totals

NAN = float("nan")


def outcome(loss: float, *, accepted: bool = True) -> Outcome:
    return Outcome(torch.tensor(accepted), {"loss": torch.tensor(loss), "accuracy": torch.tensor(2 * loss)})


def tally_of(*outcomes: Outcome | None, totals: Totals = Totals()) -> Tally:  # noqa: B008 - immutable
    tally = Tally(totals, device="cpu")
    for counted in outcomes:
        tally.count(counted)
    return tally


def test_accepted_steps_are_summed_and_skipped_ones_counted() -> None:
    found = tally_of(outcome(1.5), outcome(NAN, accepted=False), None, outcome(0.25), None).read()
    assert found == Totals(
        num_skipped=3,
        num_bad_in_a_row=1,
        max_bad_in_a_row=2,
        num_summed=2,
        sums={"loss": 1.75, "accuracy": 3.5},
    )


def test_finite_values_of_a_skipped_step_do_not_count() -> None:
    assert tally_of(outcome(1.5, accepted=False)).read().sums == {"loss": 0.0, "accuracy": 0.0}


def test_reading_in_between_changes_nothing_bit_for_bit() -> None:
    losses = [0.1, 1e-9, 3.3, 7e5]
    first = tally_of(*map(outcome, losses[:2])).read()
    resumed = tally_of(*map(outcome, losses[2:]), totals=first).read()
    assert resumed == tally_of(*map(outcome, losses)).read()


def test_restarted_sums_leave_the_counts_of_skipped_steps() -> None:
    tally = tally_of(outcome(1.0), None)
    tally.restart_sums()
    assert tally.read() == Totals(num_skipped=1, num_bad_in_a_row=1, max_bad_in_a_row=1)
    tally.count(outcome(0.5))
    assert tally.read().sums == {"loss": 0.5, "accuracy": 1.0}
    assert tally.read().num_summed == 1


@pytest.mark.parametrize("count", [1, 1000])
def test_sums_are_those_of_float64(count: int) -> None:
    value = torch.tensor(0.1).item()
    sums = tally_of(*[outcome(value)] * count).read().sums
    assert sums["loss"] == sum([value] * count)
