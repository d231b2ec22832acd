"""Training curves as CSV files: each row has a ``step`` and the values at this step."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from lzn.base.files import atomic_write


def write_curve(file: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows, all with the same keys. `read_curve` returns the same numbers, bit for bit."""
    with atomic_write(file) as partial, partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: repr(value) for name, value in row.items()} for row in rows)


def read_curve(file: Path) -> list[dict[str, float]]:
    """Read the rows of a curve."""
    with file.open(newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def mean_curve(curves: Sequence[Sequence[Mapping[str, float]]]) -> list[dict[str, float]]:
    """Compute the mean of several curves, row by row.

    Raises:
        ValueError: the curves have different lengths.
    """
    return [
        {"step": int(rows[0]["step"])}
        | {name: sum(row[name] for row in rows) / len(rows) for name in rows[0] if name != "step"}
        for rows in zip(*curves, strict=True)
    ]
