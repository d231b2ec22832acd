"""A claim of the paper, our numbers for it, and its verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lzn.base.number_format import signed
from stages.measuring.quantity import Quantity, seed_by_seed
from stages.reporting.metrics import NOT_RUN_YET, Better
from stages.reporting.results import Results
from stages.reporting.verdict import Verdict, gain, judge

NO_RUNS = "the section tables of params.yaml names no runs for this claim"
"""Why a claim has no number if params.yaml names no runs for it."""


class Study(StrEnum):
    """The studies of the paper, in its order."""

    UNCONDITIONAL = "Unconditional generation"
    REPRESENTATIONS = "Representations"
    CONDITIONAL = "Conditional generation"
    CLASSIFICATION = "Classification"
    ZONES = "Latent zones"


@dataclass(frozen=True)
class Claim:
    """One row of the table of claims.

    Attributes:
        study: the study of the paper that the claim belongs to.
        statement: what the paper says.
        source: the section, table or figure that says it.
        paper: the paper's numbers.
        ours: our numbers; empty if there are none.
        quantity: the number that is judged; None if it cannot be measured.
        above: the claim says that the number is above this,
        below: and below this.
        note: what the judged number is, or why there is none.
        missing: the stages that have not run yet and without which there is no number, such as ``measure@rf``.
    """

    study: Study
    statement: str
    source: str
    paper: str
    ours: str = ""
    quantity: Quantity | None = None
    above: float = -math.inf
    below: float = math.inf
    note: str = ""
    missing: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict by `stages.reporting.verdict.RULE`."""
        if self.missing:
            return Verdict.NOT_RUN_YET
        if self.quantity is None:
            return Verdict.NOT_MEASURABLE
        return judge(self.quantity, above=self.above, below=self.below)

    @property
    def evidence(self) -> str:
        """The number that is judged, its confidence interval and the bounds, as text; empty without a number."""
        if self.quantity is None:
            return ""
        interval, count = self.quantity.interval(), len(self.quantity.by_seed)
        show = signed if self.above == 0 else _plain
        if interval is None:
            return f"{show(self.quantity.mean)}, one seed; {self._bounds}"
        low, high = interval
        return f"{show(self.quantity.mean)}, 95 % interval {show(low)} to {show(high)}, {count} seeds; {self._bounds}"

    @property
    def _bounds(self) -> str:
        bounds = {"above": self.above, "below": self.below}
        named = [f"{name} {_plain(bound)}" for name, bound in bounds.items() if math.isfinite(bound)]
        return f"claimed: {' and '.join(named)}"

    def to_json(self) -> dict[str, Any]:
        """Return all attributes, verdict and evidence as plain data; a bound that does not exist is null."""
        quantity = self.quantity
        return {
            "study": self.study.value,
            "statement": self.statement,
            "source": self.source,
            "paper": self.paper,
            "ours": self.ours,
            "verdict": self.verdict.value,
            "evidence_text": self.evidence,
            "evidence": None
            if quantity is None
            else {
                "by_seed": {str(seed): value for seed, value in sorted(quantity.by_seed.items())},
                "mean": quantity.mean,
                "interval": quantity.interval(),
                "above": self.above if math.isfinite(self.above) else None,
                "below": self.below if math.isfinite(self.below) else None,
            },
            "note": self.note,
        }


@dataclass(frozen=True)
class Statement:
    """The paper's part of a claim; its methods add our numbers."""

    study: Study
    text: str
    source: str
    paper: str

    def not_measurable(self, reason: str) -> Claim:
        """Return a claim without a number, and the reason."""
        return Claim(self.study, self.text, self.source, self.paper, note=reason)

    def waiting(self, results: Results, stage: str, *runs: str | None) -> Claim | None:
        """Return a claim without a number if the stage has not measured one of the runs yet, else None.

        It is None too if params.yaml names no run for one of them.
        """
        if None in runs:
            return None
        missing = tuple(f"{stage}@{run}" for run in runs if run is not None and not results.has(stage, run))
        return self.not_run_yet(missing) if missing else None

    def not_run_yet(self, missing: tuple[str, ...]) -> Claim:
        """Return a claim without a number, and the stages that have not run yet."""
        note = f"{NOT_RUN_YET}: {', '.join(missing)}"
        return Claim(self.study, self.text, self.source, self.paper, note=note, missing=missing)

    def judged(
        self,
        quantity: Quantity,
        *,
        ours: str,
        note: str,
        above: float = -math.inf,
        below: float = math.inf,
    ) -> Claim:
        """Return the claim that ``quantity`` lies between the bounds."""
        return Claim(self.study, self.text, self.source, self.paper, ours, quantity, above, below, note)

    def compared(
        self,
        baseline: Quantity | None,
        ours: Quantity | None,
        better: Better,
        *,
        note: str,
        missing: str,
        unit: str = "",
    ) -> Claim:
        """Return the claim that ``ours`` is better than ``baseline``; ``missing`` is why one of them may be None."""
        gained = None if baseline is None or ours is None else gain(ours, baseline, better)
        if baseline is None or ours is None or gained is None:
            return self.not_measurable(missing)
        return self.judged(gained, ours=arrow(baseline, ours) + unit, note=note, above=0)


def _plain(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def arrow(before: Quantity, after: Quantity) -> str:
    """Return ``12.1 ± 0.8 → 8.2 ± 0.3``."""
    return f"{before.text} → {after.text}"


def share_of_gains(gains: Sequence[Quantity]) -> Quantity | None:
    """Return the percentage of the gains above zero, seed by seed; None if no seed has all of them."""
    return seed_by_seed(
        lambda values: 100 * sum(value > 0 for value in values) / len(values),
        gains,
    )
