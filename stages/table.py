"""Tables whose cells hold a number or say why they hold none, as Markdown and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Cell:
    """A number, or the reason why there is none."""

    value: float | None
    reason: str = ""

    def __post_init__(self) -> None:
        assert (self.value is None) == bool(self.reason), "a cell holds a number or a reason"


@dataclass(frozen=True)
class Row:
    """One method's numbers, from the paper or from this pipeline."""

    label: str
    source: Literal["paper", "ours"]
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    """A table with its headings by column.

    Attributes:
        name: ``table1`` and so on.
        title: what it shows.
        columns: heading of each column, by the key of its cells.
        rows: from top to bottom.
        remarks: sentences below the table.
    """

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Sequence[Row]
    remarks: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Everything, cells as ``{"value": ...}`` or ``{"value": null, "reason": ...}``."""
        rows = [
            {
                "label": row.label,
                "source": row.source,
                "cells": {name: _cell_to_json(row.cells[name]) for name in self.columns},
            }
            for row in self.rows
        ]
        return {
            "title": self.title, "columns": dict(self.columns), "rows": rows, "remarks": list(self.remarks),
        }  # fmt: skip

    def to_markdown(self) -> str:
        """A table that reads well both rendered and as text; reasons for empty cells stand in notes below it."""
        notes: list[str] = []
        lines = [["Method", "Source", *self.columns.values()]]
        for row in self.rows:
            emphasis = "**" if row.source == "ours" else ""
            texts = [_cell_text(row.cells[name], notes) for name in self.columns]
            lines.append([f"{emphasis}{row.label}{emphasis}", row.source, *texts])
        below = [*self.remarks, *(f"[{number}] {note}" for number, note in enumerate(notes, start=1))]
        paragraphs = [f"## {self.title}", "\n".join(_aligned(lines)), *(f"- {line}" for line in below)]
        head, body, *rest = paragraphs
        return "\n\n".join([head, body, *(["\n".join(rest)] if rest else [])]) + "\n"

    def to_columns(self) -> dict[str, list[str | float | None]]:
        """Columns of plain values, as MLflow's tables want them."""
        columns: dict[str, list[str | float | None]] = {
            "method": [row.label for row in self.rows],
            "source": [row.source for row in self.rows],
        }
        for name in self.columns:
            columns[name] = [row.cells[name].value for row in self.rows]
        return columns


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    return {"value": cell.value} if cell.value is not None else {"value": None, "reason": cell.reason}


def _cell_text(cell: Cell, notes: list[str]) -> str:
    if cell.value is not None:
        return f"{cell.value:.4g}"
    if cell.reason not in notes:
        notes.append(cell.reason)
    return f"– [{notes.index(cell.reason) + 1}]"


def _aligned(lines: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        padded = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        yield "| " + " | ".join(padded) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
