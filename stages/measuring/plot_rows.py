"""CSV files for the plots of DVC."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from lzn.base.files import atomic_write
from stages.measuring.quantity import Quantity


def write_plot_rows(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header and one line for each row; None becomes an empty cell."""
    with atomic_write(file) as partial, partial.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def mean_and_std(quantity: Quantity) -> tuple[float, float | None]:
    """Return the mean and the standard deviation, which is None with one seed, as two cells."""
    return quantity.mean, quantity.std
