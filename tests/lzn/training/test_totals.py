"""Sums over steps on the device."""

import pytest
import torch

from lzn.training.optimisation import UpdateResult
from lzn.training.totals import DeviceTotals, Totals

NAN = float("nan")


def result(loss: float, *, accepted: bool = True) -> UpdateResult:
    return UpdateResult(
        torch.tensor(accepted), {"loss": torch.tensor(loss), "accuracy": torch.tensor(2 * loss)}
    )


def counted(*results: UpdateResult | None, totals: Totals = Totals()) -> DeviceTotals:  # noqa: B008 - immutable
    device_totals = DeviceTotals(totals, device="cpu")
    for step_result in results:
        device_totals.count(step_result)
    return device_totals


def test_accepted_steps_are_summed_and_skipped_ones_counted() -> None:
    totals = counted(result(1.5), result(NAN, accepted=False), None, result(0.25), None).read()
    assert totals == Totals(
        num_skipped=3,
        num_bad_in_a_row=1,
        max_bad_in_a_row=2,
        num_summed=2,
        sums={"loss": 1.75, "accuracy": 3.5},
    )


def test_finite_values_of_a_skipped_step_do_not_count() -> None:
    assert counted(result(1.5, accepted=False)).read().sums == {"loss": 0.0, "accuracy": 0.0}


def test_reading_and_resuming_give_the_same_sums_bit_for_bit() -> None:
    losses = [0.1, 1e-9, 3.3, 7e5]
    first = counted(*map(result, losses[:2])).read()
    resumed = counted(*map(result, losses[2:]), totals=first).read()
    assert resumed == counted(*map(result, losses)).read()


def test_restarting_the_sums_keeps_the_counts_of_skipped_steps() -> None:
    device_totals = counted(result(1.0), None)
    device_totals.restart_sums()
    assert device_totals.read() == Totals(num_skipped=1, num_bad_in_a_row=1, max_bad_in_a_row=1)
    device_totals.count(result(0.5))
    assert device_totals.read().sums == {"loss": 0.5, "accuracy": 1.0}
    assert device_totals.read().num_summed == 1


@pytest.mark.parametrize("count", [1, 1000])
def test_sums_are_float64(count: int) -> None:
    value = torch.tensor(0.1).item()
    sums = counted(*[result(value)] * count).read().sums
    assert sums["loss"] == sum([value] * count)
