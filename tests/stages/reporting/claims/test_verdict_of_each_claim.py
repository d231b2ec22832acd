"""The verdict of every claim on both sides of each of its bounds, and across them."""

import math

import pytest
from lzn_testing.projects.claim_numbers import JUDGED
from lzn_testing.projects.claims_of_runs import claims_of
from lzn_testing.projects.numbers_of_runs import NumbersOfRuns

from stages.reporting.verdict import Verdict

pytestmark = pytest.mark.usefixtures("folder")
NEAR = 0.1
"""Distance from a bound, in the unit of the judged number: less than the distance of any neighbouring bound."""


@pytest.mark.parametrize("statement", JUDGED)
def test_a_claim_holds_on_one_side_of_its_bound_only(statement: str) -> None:
    judged = JUDGED[statement]
    sides = [(judged.above, 1), (judged.below, -1)]
    for bound, inwards in ((bound, inwards) for bound, inwards in sides if math.isfinite(bound)):
        for distance, verdict in ((NEAR, Verdict.HOLDS), (-NEAR, Verdict.FAILS)):
            numbers = NumbersOfRuns()
            value = bound + inwards * distance
            judged.write(numbers, [value])
            claim = claims_of(numbers)[statement]
            assert claim.quantity is not None
            assert claim.quantity.by_seed == pytest.approx({0: value})
            assert claim.verdict is verdict


@pytest.mark.parametrize("statement", JUDGED)
def test_a_claim_is_undecided_if_its_seeds_are_on_both_sides(statement: str) -> None:
    judged, numbers = JUDGED[statement], NumbersOfRuns()
    bound = judged.above if math.isfinite(judged.above) else judged.below
    values = [bound + 2 * NEAR, bound - NEAR]
    judged.write(numbers, values)
    claim = claims_of(numbers)[statement]
    assert claim.quantity is not None
    assert claim.quantity.by_seed == pytest.approx(dict(enumerate(values)))
    assert claim.verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("statement", JUDGED)
def test_a_claim_shows_the_paper_s_numbers_and_ours(statement: str) -> None:
    judged, numbers = JUDGED[statement], NumbersOfRuns()
    judged.write(numbers, [judged.shown])
    claim = claims_of(numbers)[statement]
    assert (claim.paper, claim.ours) == (judged.paper, judged.ours)
