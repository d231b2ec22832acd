"""Tables whose cells hold a number or say why they hold none, and that know which of their numbers is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from lzn.base.number_format import with_deviation
from stages.measuring.quantity import Quantity
from stages.reporting.verdict import Better, Verdict, gain, judge

Source = Literal["paper", "ours"]


@dataclass(frozen=True)
class Column:
    """Heading of a column, and which of its numbers are good; None where none is."""

    heading: str
    better: Better | None = None

    @property
    def title(self) -> str:
        """The heading with an arrow."""
        return self.heading + {"lower": " ↓", "higher": " ↑", None: ""}[self.better]


@dataclass(frozen=True)
class Cell:
    """A number, or the reason why there is none.

    Attributes:
        value: the number, or its mean over seeds.
        reason: why there is none.
        quantity: the number by seed, where it is ours.
    """

    value: float | None
    reason: str = ""
    quantity: Quantity | None = None

    def __post_init__(self) -> None:
        assert (self.value is None) == bool(self.reason), "a cell holds a number or a reason"

    @classmethod
    def of(cls, quantity: Quantity) -> Self:
        """One of our numbers."""
        return cls(quantity.mean, quantity=quantity)

    @classmethod
    def setting(cls, quantity: Quantity) -> Self:
        """A number that is set, not measured: where it is the same with every seed it has no deviation."""
        return cls.of(quantity) if len(set(quantity.values)) > 1 else cls(quantity.mean)

    @property
    def std(self) -> float | None:
        """Standard deviation over seeds, where there are several."""
        return None if self.quantity is None else self.quantity.std

    @property
    def num_seeds(self) -> int | None:
        """Number of seeds, of our numbers."""
        return None if self.quantity is None else len(self.quantity.by_seed)

    @property
    def text(self) -> str:
        """The number as people read it."""
        return "–" if self.value is None else with_deviation(self.value, self.std)


@dataclass(frozen=True)
class Row:
    """One method's numbers, from the paper or from this pipeline.

    Attributes:
        label: the method and its data.
        source: whose numbers they are.
        cells: by the key of their column.
        group: rows of one group are comparable: the same source and data. The best of a group is marked.
        compared_to: label of the row of the same group that this one is to be better than.
    """

    label: str
    source: Source
    cells: Mapping[str, Cell]
    group: str = ""
    compared_to: str | None = None


class Relation(StrEnum):
    """What a number is, beside that of the row it is compared to."""

    BETTER = "▲"
    WORSE = "▼"
    WITHIN_NOISE = "≈"

    @property
    def meaning(self) -> str:
        """In words."""
        return {"▲": "better", "▼": "worse", "≈": "within the noise"}[self.value]


@dataclass(frozen=True)
class Table:
    """A table with its columns by key.

    Attributes:
        name: ``table1`` and so on.
        title: what it shows.
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
        """Whether the row's number is the best of its group, in which not all are equal."""
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
        """How the row's number stands to that of the row it is compared to; None where nothing is compared."""
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
    """Numbers of the paper count as those of one seed."""
    ours, theirs = (
        one.quantity or (None if one.value is None else Quantity({0: one.value})) for one in (cell, baseline)
    )
    return None if ours is None or theirs is None else gain(ours, theirs, better)
