"""A number that equals a bound decides nothing; bounds that leave no number between them are refused."""

import math

import pytest

from stages.measuring.quantity import Quantity
from stages.reporting.verdict import Verdict, judge


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_number_on_a_bound_is_undecided(value: float) -> None:
    assert judge(Quantity({0: value}), above=0, below=1) is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(-0.1, Verdict.FAILS), (0.1, Verdict.HOLDS), (0.9, Verdict.HOLDS), (1.1, Verdict.FAILS)],
)
def test_a_number_beside_a_bound_is_decided(value: float, verdict: Verdict) -> None:
    assert judge(Quantity({0: value}), above=0, below=1) is verdict


@pytest.mark.parametrize("bound", [0.0, math.inf])
def test_equal_bounds_are_refused(bound: float) -> None:
    with pytest.raises(ValueError, match=f"above must be less than below, got {bound} and {bound}"):
        judge(Quantity({0: 1.0}), above=bound, below=bound)
