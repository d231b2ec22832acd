"""A claim of the paper, what was measured here, and what that says about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lzn.base.number_format import signed, with_deviation
from stages.measuring.quantity import Quantity
from stages.reporting.verdict import Better, Verdict, gain, judge


@dataclass(frozen=True)
class Claim:
    """One row of the table of claims.

    Attributes:
        study: which of the paper's studies it is of.
        statement: what the paper says.
        source: where.
        paper: its numbers.
        ours: our numbers, empty where there are none.
        found: the number that is judged; None where it cannot be measured.
        above: what the claim says of it: that it is above this,
        below: and below this.
        note: what the judged number is, or why there is none.
    """

    study: str
    statement: str
    source: str
    paper: str
    ours: str = ""
    found: Quantity | None = None
    above: float = -math.inf
    below: float = math.inf
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """What `stages.reporting.verdict.RULE` says."""
        if self.found is None:
            return Verdict.NOT_MEASURABLE
        return judge(self.found, above=self.above, below=self.below)

    @property
    def evidence(self) -> str:
        """The number that is judged, and how sure it is; empty where there is none."""
        if self.found is None:
            return ""
        interval, count = self.found.interval(), len(self.found.by_seed)
        show = signed if self.above == 0 else (lambda value: f"{value:.3g}")
        if interval is None:
            return f"{show(self.found.mean)}, one seed; {self._says}"
        reach = f"{show(interval[0])} to {show(interval[1])}"
        return f"{show(self.found.mean)}, 95 % interval {reach}, {count} seeds; {self._says}"

    @property
    def _says(self) -> str:
        bounds = {"above": self.above, "below": self.below}
        named = [f"{name} {bound:.3g}" for name, bound in bounds.items() if math.isfinite(bound)]
        return f"the claim says {' and '.join(named)}".replace("-", "−")

    def to_json(self) -> dict[str, Any]:
        """Everything, bounds that are none as null."""
        found = self.found
        return {
            "study": self.study,
            "statement": self.statement,
            "source": self.source,
            "paper": self.paper,
            "ours": self.ours,
            "verdict": self.verdict.value,
            "evidence_text": self.evidence,
            "evidence": None
            if found is None
            else {
                "by_seed": {str(seed): value for seed, value in sorted(found.by_seed.items())},
                "mean": found.mean,
                "interval": found.interval(),
                "above": self.above if math.isfinite(self.above) else None,
                "below": self.below if math.isfinite(self.below) else None,
            },
            "note": self.note,
        }


@dataclass(frozen=True)
class Statement:
    """What the paper says, before it is held against numbers."""

    study: str
    text: str
    source: str
    paper: str

    def not_measurable(self, reason: str) -> Claim:
        """There is no number, and why."""
        return Claim(self.study, self.text, self.source, self.paper, note=reason)

    def judged(
        self, found: Quantity, *, ours: str, note: str, above: float = -math.inf, below: float = math.inf
    ) -> Claim:
        """The claim says that ``found`` is between the bounds."""
        return Claim(self.study, self.text, self.source, self.paper, ours, found, above, below, note)

    def compared(
        self,
        baseline: Quantity | None,
        ours: Quantity | None,
        better: Better,
        *,
        note: str,
        otherwise: str,
        unit: str = "",
    ) -> Claim:
        """The claim says that ``ours`` is better than ``baseline``; ``otherwise`` is why one of them may be missing."""
        found = None if baseline is None or ours is None else gain(ours, baseline, better)
        if baseline is None or ours is None or found is None:
            return self.not_measurable(otherwise)
        return self.judged(found, ours=arrow(baseline, ours) + unit, note=note, above=0)


def arrow(before: Quantity, after: Quantity) -> str:
    """``12.1 ± 0.8 → 8.2 ± 0.3``."""
    return " → ".join(with_deviation(one.mean, one.std) for one in (before, after))


def share_of_gains(gains: Sequence[Quantity]) -> Quantity | None:
    """In how many percent of comparisons a gain is above zero, seed by seed; None where no seed has all of them."""
    if not gains:
        return None
    common = set.intersection(*(set(one.by_seed) for one in gains))
    shares = {seed: 100 * sum(one.by_seed[seed] > 0 for one in gains) / len(gains) for seed in common}
    return Quantity(shares) if shares else None
