"""Training curves on disk: a ``step`` and the values there, row by row."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_curve(file: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows that all have the same names; numbers are read back as they were, bit for bit."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: repr(value) for name, value in row.items()} for row in rows)


def read_curve(file: Path) -> list[dict[str, float]]:
    """The rows of a curve."""
    with file.open(newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def mean_curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> list[dict[str, float]]:
    """Row by row the means of curves of equal steps."""
    return [
        {"step": int(rows[0]["step"])}
        | {name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if name != "step"}
        for rows in zip(*curves, strict=True)
    ]
