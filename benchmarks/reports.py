"""The result of a topic: rows of numbers and their summary, printed and written as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine

FOLDER = Path(__file__).parent
TOPICS = ("latents", "alignment", "steps", "micro_batches", "sampling", "accuracy", "gpu")


@dataclass(frozen=True)
class Finding:
    """One line of the table of all topics.

    Attributes:
        what: the quantity and the size of the problem.
        measured: the value, with its unit.
        goal: the goal, in the same unit; empty if there is none.
        reached: whether the goal is reached; None if there is none.
    """

    what: str
    measured: str
    goal: str = ""
    reached: bool | None = None

    @staticmethod
    def large(what: str, value: float, goal: float | None = None, *, form: str = "{:.3g}") -> "Finding":
        """Make a finding whose goal is a lower bound."""
        if goal is None:
            return Finding(what, form.format(value))
        return Finding(what, form.format(value), f"≥ {form.format(goal)}", value >= goal)

    @staticmethod
    def small(what: str, value: float, goal: float | None = None, *, form: str = "{:.3g}") -> "Finding":
        """Make a finding whose goal is an upper bound."""
        if goal is None:
            return Finding(what, form.format(value))
        return Finding(what, form.format(value), f"≤ {form.format(goal)}", value <= goal)


@dataclass(frozen=True)
class Report:
    """The result of a topic.

    Attributes:
        topic: name of the JSON file.
        title: the quantity and how it was measured.
        rows: measurements, as values that JSON can hold.
        findings: summary of the rows.
    """

    topic: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    findings: Sequence[Finding]

    def publish(self, folder: Path = FOLDER) -> None:
        """Print the findings, and write the report with a description of the machine as ``<topic>.json``."""
        for finding in self.findings:
            verdict = {True: "reached", False: "NOT REACHED", None: ""}[finding.reached]
            goal = f"   (goal {finding.goal}: {verdict})" if finding.goal else ""
            print(f"  {finding.what}: {finding.measured}{goal}")
        print(flush=True)
        content = {"machine": asdict(describe_machine()), **asdict(self)}
        (folder / f"{self.topic}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def print_row(cells: Sequence[str], *, widths: Sequence[int]) -> None:
    """Print a line of a table, its first cell left-aligned, the others right-aligned, and flush the output."""
    first, *others = zip(cells, widths, strict=True)
    line = first[0].ljust(first[1]) + "".join(cell.rjust(width) for cell, width in others)
    print(line.rstrip(), flush=True)
