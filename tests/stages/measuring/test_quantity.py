"""Numbers over seeds: means, standard deviations, confidence intervals, paired differences."""

import math

import pytest
from scipy import stats

from stages.measuring.quantity import (
    Quantity,
    combine_seeds,
    flatten_quantities,
    mean_of,
    means_and_deviations,
    seed_by_seed,
)


def test_mean_and_deviation_are_those_of_the_sample() -> None:
    quantity = Quantity({0: 1.0, 1: 2.0, 2: 6.0})
    assert quantity.mean == 3.0
    assert quantity.std == pytest.approx(math.sqrt(7.0))  # (4 + 1 + 9) / 2


def test_the_confidence_interval_is_student_s() -> None:
    values = [1.0, 2.0, 6.0, 3.5]
    low, high = Quantity(dict(enumerate(values))).interval(confidence=0.9) or (0.0, 0.0)
    expected = stats.t.interval(0.9, df=3, loc=3.125, scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected)


def test_one_seed_has_no_deviation_and_no_interval() -> None:
    assert Quantity({3: 5.0}).std is None
    assert Quantity({3: 5.0}).interval() is None


def test_differences_are_taken_seed_by_seed() -> None:
    difference = Quantity({0: 5.0, 1: 7.0}).minus(Quantity({1: 1.0, 0: 2.0, 2: 100.0}))
    assert difference is not None
    assert difference.by_seed == {0: 3.0, 1: 6.0}
    assert Quantity({0: 5.0}).minus(Quantity({1: 5.0})) is None


def test_functions_are_applied_to_the_seeds_that_all_quantities_have() -> None:
    first, second = Quantity({0: 1.0, 1: 5.0}), Quantity({1: 2.0, 0: 4.0, 2: 100.0})
    smallest, mean = seed_by_seed(min, [first, second]), mean_of([first, second])
    assert smallest is not None
    assert mean is not None
    assert smallest.by_seed == {0: 1.0, 1: 2.0}
    assert mean.by_seed == {0: 2.5, 1: 3.5}
    assert mean_of([Quantity({0: 1.0}), Quantity({1: 1.0})]) is None
    assert mean_of([]) is None


def test_nested_numbers_of_seeds_become_nested_quantities() -> None:
    combined = combine_seeds(
        {0: {"fd": 1.0, "zones": {"share": 0.5}}, 1: {"fd": 3.0, "zones": {"share": 0.7, "new": 1}}}
    )
    flat = flatten_quantities(combined)
    assert {name: quantity.by_seed for name, quantity in flat.items()} == {
        "fd": {0: 1.0, 1: 3.0}, "zones.share": {0: 0.5, 1: 0.7}, "zones.new": {1: 1.0},
    }  # fmt: skip
    content = means_and_deviations(combined)
    assert content["fd"] == {"mean": 2.0, "std": pytest.approx(math.sqrt(2))}
    assert content["zones"]["new"] == {"mean": 1.0}  # type: ignore[index]
