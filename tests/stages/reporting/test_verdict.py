"""The rule that decides verdicts, with numbers whose interval is known in closed form."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.measuring.quantity import Quantity
from stages.reporting.verdict import Verdict, gain, judge

# Student's 97.5 % quantile with 2 degrees of freedom, from tables of the distribution.
T_OF_THREE_SEEDS = 4.302652729911275


def three_seeds(mean: float, std: float) -> Quantity:
    """Return three values with exactly this mean and standard deviation."""
    return Quantity({0: mean - std, 1: mean, 2: mean + std})


@pytest.mark.parametrize(
    ("margin", "verdict"), [(1.001, Verdict.HOLDS), (0.999, Verdict.UNDECIDED), (-0.999, Verdict.UNDECIDED)]
)
def test_a_claim_holds_if_the_whole_interval_is_on_its_side(margin: float, verdict: Verdict) -> None:
    reach = T_OF_THREE_SEEDS * 0.3 / math.sqrt(3)
    assert judge(three_seeds(margin * reach, 0.3), above=0) is verdict


def test_a_claim_does_not_hold_if_the_whole_interval_is_on_the_other_side() -> None:
    reach = T_OF_THREE_SEEDS * 0.3 / math.sqrt(3)
    assert judge(three_seeds(-1.001 * reach, 0.3), above=0) is Verdict.FAILS


def test_the_sign_of_a_single_seed_decides() -> None:
    assert judge(Quantity({0: 1e-9}), above=0) is Verdict.HOLDS
    assert judge(Quantity({0: -1e-9}), above=0) is Verdict.FAILS
    assert judge(Quantity({0: 0.0}), above=0) is Verdict.UNDECIDED


def test_a_claim_of_no_effect_holds_if_the_whole_interval_is_within_its_bounds() -> None:
    assert judge(three_seeds(0.0, 0.1), above=-1, below=1) is Verdict.HOLDS
    assert (
        judge(three_seeds(0.0, 5.0), above=-1, below=1) is Verdict.UNDECIDED
    )  # noise is no proof of no effect
    assert judge(three_seeds(3.0, 0.1), above=-1, below=1) is Verdict.FAILS


def test_bounds_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="above must be less than below"):
        judge(Quantity({0: 1.0}), above=1, below=0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=5, unique=True))
def test_a_claim_and_its_opposite_have_opposite_verdicts(values: list[float]) -> None:
    found = Quantity(dict(enumerate(values)))
    opposite = {
        Verdict.HOLDS: Verdict.FAILS,
        Verdict.FAILS: Verdict.HOLDS,
        Verdict.UNDECIDED: Verdict.UNDECIDED,
    }
    assert judge(found.times(-1), above=0) is opposite[judge(found, above=0)]


def test_a_gain_is_positive_if_ours_is_better_in_either_direction() -> None:
    before, after = Quantity({0: 12.0, 1: 11.0}), Quantity({0: 8.0, 1: 8.5, 2: 1.0})
    lower = gain(after, before, "lower")
    higher = gain(after, before, "higher")
    assert lower is not None
    assert higher is not None
    assert lower.by_seed == {0: 4.0, 1: 2.5}  # the baseline has no seed 2
    assert higher.by_seed == {0: -4.0, 1: -2.5}
    assert gain(Quantity({0: 1.0}), Quantity({1: 2.0}), "lower") is None


def test_differences_seed_by_seed_detect_gains_smaller_than_the_variation_of_seeds() -> None:
    """Seeds vary by 10, the gain by 0.01; without pairing, the gain would be undecided."""
    before = Quantity({0: 10.0, 1: 20.0, 2: 30.0})
    after = Quantity({0: 9.51, 1: 19.5, 2: 29.49})
    gained = gain(after, before, "lower")
    assert gained is not None
    assert judge(gained, above=0) is Verdict.HOLDS
