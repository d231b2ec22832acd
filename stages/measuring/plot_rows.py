"""Tables from which DVC draws: a header, then rows of numbers."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.measuring.quantity import Quantity


def write_plot_rows(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with one line for each of ``rows``; what is None stays empty."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def mean_and_std(quantity: Quantity) -> tuple[float, float | None]:
    """The two columns of a number over seeds; with one seed there is no deviation."""
    return quantity.mean, quantity.std
