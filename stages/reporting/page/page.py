"""The content of the report page, and its rendering as HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.reporting.figures import ReportFigure
from stages.reporting.page.about import About
from stages.reporting.page.sample_images import SampleGrid, data_url
from stages.reporting.tables.formats import LEGEND, tables_to_json
from stages.reporting.tables.table import Relation
from stages.reporting.verdict import Verdict, count_verdicts

TEMPLATES = Path(__file__).with_name("templates")
VERDICT_SYMBOLS = {verdict.value: verdict.symbol for verdict in Verdict}
RELATION_SYMBOLS = {relation.meaning: relation.value for relation in Relation}


@dataclass(frozen=True)
class Page:
    """The content of the page.

    Attributes:
        about: what was run.
        claims: content of ``claims.json``.
        tables: content of ``tables.json``.
        figures: the figures; their files are in ``folder``.
        grids: grids of sampled images.
        folder: the folder with the files of the figures.
    """

    about: About
    claims: Mapping[str, Any]
    tables: Mapping[str, Any]
    figures: Sequence[ReportFigure]
    grids: Sequence[SampleGrid]
    folder: Path

    @property
    def counts(self) -> dict[str, int]:
        """Number of claims by verdict."""
        return count_verdicts([claim["verdict"] for claim in self.claims["claims"]])

    @property
    def tables_in_order(self) -> list[dict[str, Any]]:
        """The tables in the order of ``tables.json`` and that of costs, with numbers for the reasons of empty cells."""
        ordered = sorted(self.tables.items(), key=lambda item: item[1]["position"])
        ordered += tables_to_json([self.about.costs]).items()
        return [{"name": name, **_numbered(table)} for name, table in ordered]


def render(page: Page) -> str:
    """Return the page as HTML, with all images and scripts in it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        page=page,
        about=page.about,
        symbols=VERDICT_SYMBOLS,
        relation_symbols=RELATION_SYMBOLS,
        legend=LEGEND,
        figure_url=lambda figure: data_url(page.folder / f"{figure.name}.svg"),
        grid_url=lambda grid: data_url(grid.file),
    )


def _numbered(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with the list ``reasons``; each empty cell gets the number of its reason as ``note``."""
    reasons: list[str] = []
    rows = []
    for row in table["rows"]:
        cells = {}
        for column in table["columns"]:
            cell = row["cells"][column["key"]]
            if cell["value"] is None:
                if cell["reason"] not in reasons:
                    reasons.append(cell["reason"])
                cell = {**cell, "note": reasons.index(cell["reason"]) + 1}
            cells[column["key"]] = cell
        rows.append({**row, "cells": cells})
    compares = any(cell.get("relation") for row in rows for cell in row["cells"].values())
    return {**table, "rows": rows, "reasons": reasons, "compares": compares}
