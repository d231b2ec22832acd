"""The rule that decides whether numbers over seeds support a claim, contradict it, or leave it undecided."""

import math
from collections.abc import Sequence
from enum import StrEnum

from stages.measuring.quantity import Quantity
from stages.reporting.metrics import NOT_RUN_YET, Better

RULE = (
    "Each claim is a statement about one number, usually the difference between two runs, computed seed by seed, which "
    "is above zero if the claim is right. A claim holds if Student's 95 % confidence interval of the mean over seeds "
    "lies within the range that the claim states. It does not hold if the interval lies outside this range. It is "
    "undecided if the interval lies partly inside: the variation between seeds is then too large to decide. With one "
    "seed there is no interval, and the number itself decides; this is weak evidence and is marked as such. Each claim "
    "is judged by itself, without a correction for the number of claims."
)


class Verdict(StrEnum):
    """What the numbers say about a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_MEASURABLE = "not measurable at this size"
    NOT_RUN_YET = NOT_RUN_YET

    @property
    def symbol(self) -> str:
        """A sign for tables."""
        return {Verdict.HOLDS: "✓", Verdict.FAILS: "✗", Verdict.UNDECIDED: "?"}.get(self, "–")


def judge(quantity: Quantity, *, above: float = -math.inf, below: float = math.inf) -> Verdict:
    """Apply `RULE` to the claim that the mean of ``quantity`` lies between two bounds.

    Raises:
        ValueError: ``above`` is not less than ``below``.
    """
    if above >= below:
        raise ValueError(f"above must be less than below, got {above} and {below}")
    low, high = quantity.interval() or (quantity.mean, quantity.mean)
    if above < low and high < below:
        return Verdict.HOLDS
    if high < above or low > below:
        return Verdict.FAILS
    return Verdict.UNDECIDED


def count_verdicts(verdicts: Sequence[str]) -> dict[str, int]:
    """Return how many claims have each verdict; `Verdict.NOT_RUN_YET` is left out if no claim has it."""
    counts = {verdict.value: verdicts.count(verdict.value) for verdict in Verdict}
    return {name: count for name, count in counts.items() if count or name != Verdict.NOT_RUN_YET}


def gain(ours: Quantity, baseline: Quantity, better: Better) -> Quantity | None:
    """Return by how much ``ours`` is better, seed by seed; None if the two have no seed in common."""
    return baseline.minus(ours) if better == "lower" else ours.minus(baseline)
