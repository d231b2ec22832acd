"""One rule by which a number that involves chance bears out a statement, contradicts it, or leaves it open."""

import math
from enum import StrEnum
from typing import Literal

from stages.measuring.quantity import Quantity

Better = Literal["lower", "higher"]

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


def judge(found: Quantity, *, above: float = -math.inf, below: float = math.inf) -> Verdict:
    """Whether the mean of ``found`` lies between two bounds: `RULE`, with the bounds as what the claim says.

    Raises:
        ValueError: the bounds are not in order.
    """
    if above >= below:
        raise ValueError(f"above must be less than below, got {above} and {below}")
    low, high = found.interval() or (found.mean, found.mean)
    if above < low and high < below:
        return Verdict.HOLDS
    if high < above or low > below:
        return Verdict.FAILS
    return Verdict.UNDECIDED


def gain(ours: Quantity, baseline: Quantity, better: Better) -> Quantity | None:
    """By how much ``ours`` is better, seed by seed; None where the two have no seed in common."""
    return baseline.minus(ours) if better == "lower" else ours.minus(baseline)
