"""What a topic found: rows of numbers and the findings that sum them up, printed and written as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine

FOLDER = Path(__file__).parent
TOPICS = ("latents", "alignment", "steps", "sampling", "accuracy")


@dataclass(frozen=True)
class Finding:
    """One line of the table of all topics.

    Attributes:
        what: was measured, with its size.
        measured: the figure, with its unit.
        goal: what it should be, in the same unit; empty where there is no goal.
        reached: None where there is no goal.
    """

    what: str
    measured: str
    goal: str = ""
    reached: bool | None = None

    @staticmethod
    def large(what: str, value: float, goal: float | None = None, *, form: str = "{:.3g}") -> "Finding":
        """A figure of which more is better."""
        if goal is None:
            return Finding(what, form.format(value))
        return Finding(what, form.format(value), f"≥ {form.format(goal)}", value >= goal)

    @staticmethod
    def small(what: str, value: float, goal: float | None = None, *, form: str = "{:.3g}") -> "Finding":
        """A figure of which less is better."""
        if goal is None:
            return Finding(what, form.format(value))
        return Finding(what, form.format(value), f"≤ {form.format(goal)}", value <= goal)


@dataclass(frozen=True)
class Report:
    """A topic's result.

    Attributes:
        topic: one of `TOPICS`.
        title: what was measured, and how.
        rows: measurements, as plain values.
        findings: what they come to.
    """

    topic: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    findings: Sequence[Finding]

    def publish(self, folder: Path = FOLDER) -> None:
        """Print the findings, and write all as ``<topic>.json`` with a description of the machine."""
        for finding in self.findings:
            verdict = {True: "reached", False: "NOT REACHED", None: ""}[finding.reached]
            goal = f"   (goal {finding.goal}: {verdict})" if finding.goal else ""
            print(f"  {finding.what}: {finding.measured}{goal}")
        print(flush=True)
        content = {"machine": asdict(describe_machine()), **asdict(self)}
        (folder / f"{self.topic}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def print_row(cells: Sequence[str], *, widths: Sequence[int]) -> None:
    """A line of a table: the first cell to the left, numbers to the right; at once, since measuring takes long."""
    first, *others = zip(cells, widths, strict=True)
    line = first[0].ljust(first[1]) + "".join(cell.rjust(width) for cell, width in others)
    print(line.rstrip(), flush=True)
