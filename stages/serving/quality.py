"""The bar that a run must pass to be registered: its accuracy, and the paper's claims about its case study."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lzn.inference.abilities import RunFacts
from lzn.inference.errors import UserError

_STUDIES = {
    "generation": ("Unconditional generation",),
    "representation": ("Representations",),
    "joint": ("Conditional generation", "Classification"),
}
"""The case studies of a run's ``study`` in ``claims.json``; class-conditional generation is added below."""


@dataclass(frozen=True)
class Bar:
    """The lowest values with which a run is registered.

    Attributes:
        accuracy: test accuracy, for runs that classify.
        claims: share of the claims about the run's case study that hold, among those that hold or do not hold.
    """

    accuracy: float
    claims: float


@dataclass(frozen=True)
class Quality:
    """What is known about a run; None where it is not measured."""

    accuracy: float | None
    num_holding: int
    num_decided: int

    @property
    def text(self) -> str:
        """What is known, in one line."""
        accuracy = "not measured" if self.accuracy is None else f"{self.accuracy:.4g}"
        claims = f"{self.num_holding} of {self.num_decided}" if self.num_decided else "none decided"
        return f"accuracy: {accuracy}; claims of its case study that hold: {claims}"

    def require(self, bar: Bar, *, name: str) -> None:
        """Check that the run passes the bar; what is not measured passes.

        Raises:
            UserError: a number is below the bar; the message says which.
        """
        failures = []
        if self.accuracy is not None and self.accuracy < bar.accuracy:
            failures.append(f"its accuracy {self.accuracy:.4g} is below {bar.accuracy:g}")
        if self.num_decided and self.num_holding < bar.claims * self.num_decided:
            failures.append(
                f"only {self.num_holding} of the {self.num_decided} decided claims of its case study hold, fewer than "
                f"the share {bar.claims:g}"
            )
        if failures:
            raise UserError(
                f"{name} is not registered: {' and '.join(failures)}. Register it nevertheless with --force, or lower "
                "the bar with --min-accuracy and --min-claims"
            )


def quality_of(facts: RunFacts, outputs: Path) -> Quality:
    """Read the quality of a seed from the outputs of its size; missing files are numbers that are not measured."""
    measured = _read(outputs / "metrics" / "classify" / facts.name / f"seed_{facts.seed}.json")
    claims = _read(outputs / "tables" / "claims.json").get("claims", [])
    studies = _studies_of(facts)
    verdicts = [claim["verdict"] for claim in claims if claim["study"] in studies]
    holding, failing = verdicts.count("holds"), verdicts.count("does not hold")
    return Quality(measured.get("accuracy"), holding, holding + failing)


def _studies_of(facts: RunFacts) -> tuple[str, ...]:
    """Return the case studies with claims about the run; a run without latents is a baseline, which has none."""
    if not facts.has_encoder:
        return ()
    if facts.study == "generation" and facts.takes_class:
        return ("Conditional generation",)
    return _STUDIES[facts.study]


def _read(file: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return content
