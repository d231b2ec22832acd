"""Tables of cells with a number or a reason why there is none; which numbers are the best, and which are better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from lzn.base.number_format import with_deviation
from stages.measuring.quantity import Quantity
from stages.reporting.metrics import Better, Metric
from stages.reporting.verdict import Verdict, gain, judge

Source = Literal["paper", "ours"]


@dataclass(frozen=True)
class Column:
    """The heading of a column, and which of its numbers are better; None if that has no meaning."""

    heading: str
    better: Better | None = None

    @classmethod
    def of(cls, metric: Metric) -> Self:
        """Return the column of a metric."""
        return cls(metric.heading, metric.better)

    @property
    def title(self) -> str:
        """The heading with an arrow."""
        return self.heading + {"lower": " ↓", "higher": " ↑", None: ""}[self.better]


@dataclass(frozen=True)
class Cell:
    """A number, or the reason why there is none.

    Attributes:
        value: the number, or its mean over seeds.
        reason: why there is no number; empty if there is one.
        quantity: the number with each seed; None for the paper's numbers.
    """

    value: float | None
    reason: str = ""
    quantity: Quantity | None = None

    def __post_init__(self) -> None:
        assert (self.value is None) == bool(self.reason), "a cell holds a number or a reason"

    @classmethod
    def of(cls, quantity: Quantity) -> Self:
        """Return a cell with one of our numbers."""
        return cls(quantity.mean, quantity=quantity)

    @classmethod
    def setting(cls, quantity: Quantity) -> Self:
        """Return a cell with a setting, such as a batch size; it has no deviation if all seeds have the same."""
        return cls.of(quantity) if len(set(quantity.values)) > 1 else cls(quantity.mean)

    @property
    def std(self) -> float | None:
        """Standard deviation over seeds; None with one seed and for the paper's numbers."""
        return None if self.quantity is None else self.quantity.std

    @property
    def num_seeds(self) -> int | None:
        """Number of seeds; None for the paper's numbers."""
        return None if self.quantity is None else len(self.quantity.by_seed)

    @property
    def text(self) -> str:
        """The number as text."""
        return "–" if self.value is None else with_deviation(self.value, self.std)


@dataclass(frozen=True)
class Row:
    """The numbers of one method, from the paper or ours.

    Attributes:
        label: the method and its data.
        source: whose numbers they are.
        cells: by the key of their column.
        group: rows of one group are comparable: the same source and data. The best number of a group is marked.
        compared_to: label of the baseline, a row of the same group; None if there is none.
    """

    label: str
    source: Source
    cells: Mapping[str, Cell]
    group: str = ""
    compared_to: str | None = None


class Relation(StrEnum):
    """How a number compares with the number of the baseline."""

    BETTER = "▲"
    WORSE = "▼"
    WITHIN_NOISE = "≈"

    @property
    def meaning(self) -> str:
        """The relation in words."""
        return {"▲": "better", "▼": "worse", "≈": "within the noise"}[self.value]


@dataclass(frozen=True)
class Table:
    """A table with its columns by key.

    Attributes:
        name: ``table1`` and so on.
        title: the heading.
        columns: by the key of their cells.
        rows: from top to bottom.
        remarks: sentences below the table.
    """

    name: str
    title: str
    columns: Mapping[str, Column]
    rows: Sequence[Row]
    remarks: Sequence[str] = ()

    def is_best(self, row: Row, column: str) -> bool:
        """Return whether the row's number is the best of its group; False if all numbers of the group are equal."""
        better = self.columns[column].better
        values = [
            value
            for other in self.rows
            if other.group == row.group and (value := other.cells[column].value) is not None
        ]
        if better is None or not row.group or row.cells[column].value is None or len(set(values)) < 2:
            return False
        return row.cells[column].value == (min(values) if better == "lower" else max(values))

    def relation(self, row: Row, column: str) -> Relation | None:
        """Return how the row's number compares with the baseline's; None if one of them is missing."""
        better, baseline = self.columns[column].better, self._baseline(row)
        if better is None or baseline is None:
            return None
        gained = _gain(row.cells[column], baseline.cells[column], better)
        if gained is None:
            return None
        verdict = judge(gained, above=0)
        return {Verdict.HOLDS: Relation.BETTER, Verdict.FAILS: Relation.WORSE}.get(
            verdict, Relation.WITHIN_NOISE
        )

    def _baseline(self, row: Row) -> Row | None:
        found = [other for other in self.rows if other.group == row.group and other.label == row.compared_to]
        return found[0] if found else None


def _gain(cell: Cell, baseline: Cell, better: Better) -> Quantity | None:
    """Return by how much ``cell`` is better; a number of the paper counts as a number with one seed."""
    ours, theirs = (
        one.quantity or (None if one.value is None else Quantity({0: one.value})) for one in (cell, baseline)
    )
    return None if ours is None or theirs is None else gain(ours, theirs, better)
