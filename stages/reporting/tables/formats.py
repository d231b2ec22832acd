"""Tables as Markdown, as JSON, and as columns of plain values."""

from collections.abc import Iterator, Sequence
from typing import Any

from stages.reporting.tables.table import Row, Table

LEGEND = (
    "Ours: mean ± standard deviation over seeds. Bold: the best number of a source on the same data. ▲, ▼: better or "
    "worse than the baseline, a row of the same source and data; ≈: the 95 % interval of the difference, computed seed "
    "by seed, contains zero. The paper's numbers and those of a single seed are compared without an interval."
)


def tables_to_json(tables: Sequence[Table]) -> dict[str, Any]:
    """Return the tables by name as plain data.

    A cell is ``{"value", "std", "num_seeds", "text", "best", "relation"}``, or ``{"value": null, "reason"}``.
    """
    return {
        table.name: {"position": position, **_table_to_json(table)} for position, table in enumerate(tables)
    }


def table_to_markdown(table: Table) -> str:
    """Return the table as Markdown with aligned columns; numbered notes below it give the reasons of empty cells."""
    notes: list[str] = []
    lines = [["Method", "Source", *(column.title for column in table.columns.values())]]
    for row in table.rows:
        lines.append(
            [row.label, row.source, *(_cell_text(table, row, name, notes) for name in table.columns)]
        )
    below = [*table.remarks, *(f"[{number}] {note}" for number, note in enumerate(notes, start=1))]
    paragraphs = [f"## {table.title}", "\n".join(aligned(lines))]
    if below:
        paragraphs.append("\n".join(f"- {line}" for line in below))
    return "\n\n".join(paragraphs) + "\n"


def table_to_columns(table: Table) -> dict[str, list[str | float | None]]:
    """Return the table as columns of plain values for MLflow; standard deviations are columns of their own."""
    columns: dict[str, list[str | float | None]] = {
        "method": [row.label for row in table.rows],
        "source": [row.source for row in table.rows],
    }
    for name in table.columns:
        cells = [row.cells[name] for row in table.rows]
        columns[name] = [cell.value for cell in cells]
        if any(cell.std is not None for cell in cells):
            columns[f"{name} std"] = [cell.std for cell in cells]
    return columns


def aligned(lines: list[list[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; the first of ``lines`` is the heading."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        padded = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        yield "| " + " | ".join(padded) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def _table_to_json(table: Table) -> dict[str, Any]:
    rows = [
        {
            "label": row.label,
            "source": row.source,
            "cells": {name: _cell_to_json(table, row, name) for name in table.columns},
        }
        for row in table.rows
    ]
    columns = [{"key": name, "title": column.title} for name, column in table.columns.items()]
    return {"title": table.title, "columns": columns, "rows": rows, "remarks": list(table.remarks)}


def _cell_to_json(table: Table, row: Row, column: str) -> dict[str, Any]:
    cell = row.cells[column]
    if cell.value is None:
        return {"value": None, "reason": cell.reason}
    relation = table.relation(row, column)
    return {
        "value": cell.value,
        "std": cell.std,
        "num_seeds": cell.num_seeds,
        "text": cell.text,
        "best": table.is_best(row, column),
        "relation": None if relation is None else relation.meaning,
    }


def _cell_text(table: Table, row: Row, column: str, notes: list[str]) -> str:
    cell = row.cells[column]
    if cell.value is None:
        if cell.reason not in notes:
            notes.append(cell.reason)
        return f"– [{notes.index(cell.reason) + 1}]"
    text = f"**{cell.text}**" if table.is_best(row, column) else cell.text
    relation = table.relation(row, column)
    return text if relation is None else f"{text} {relation}"
