"""The rule that decides whether numbers over seeds support a claim, contradict it, or leave it undecided."""

import math
from enum import StrEnum

from stages.measuring.quantity import Quantity
from stages.reporting.metrics import Better

RULE = (
    "A claim is a statement about one number, mostly a difference of two runs, taken seed by seed, that is above zero "
    "if the claim is right. It holds if Student's 95 % confidence interval of the number's mean over seeds lies within "
    "what the claim says, does not hold if the interval lies outside, and is undecided if the interval reaches both: "
    "then the seeds scatter too much to tell. With a single seed there is no interval, and the number itself decides; "
    "this is marked as such, and is weak evidence. Each claim is judged by itself, without a correction for their "
    "number."
)


class Verdict(StrEnum):
    """What the numbers say about a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    NOT_MEASURABLE = "not measurable at this size"

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


def gain(ours: Quantity, baseline: Quantity, better: Better) -> Quantity | None:
    """Return by how much ``ours`` is better, seed by seed; None if the two have no seed in common."""
    return baseline.minus(ours) if better == "lower" else ours.minus(baseline)
