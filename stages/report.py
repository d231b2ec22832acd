"""A page that a person reads: claims, tables, figures, samples, and what was run."""

import json

from stages.entry import StageCall, run_stage
from stages.figures import draw_figures
from stages.page import Page, render
from stages.page.about import about
from stages.page.images import sample_grids
from stages.paper_tables import TablesParams
from stages.params import Section, load_section
from stages.results import Results


class ReportParams(Section):
    """What heads the report's figures."""

    picture: str | None = None
    """A run of case study 3, whose samples and zones are drawn; None: no such picture."""


def write_report(call: StageCall) -> None:
    """Write ``index.html``, which needs no other file, and the figures as SVG and PNG."""
    params: ReportParams = load_section(call.params_file, "report", ReportParams)
    of_tables: TablesParams = load_section(call.params_file, "tables", TablesParams)
    families: dict[str, dict[str, str]] = load_section(
        call.params_file, "families", dict[str, dict[str, str]]
    )
    results, folder = Results(call.workspace), call.workspace.folder("report")
    drawings = draw_figures(of_tables, families, results, picture=params.picture)
    for drawing in drawings:
        drawing.save(folder)
    tables = call.workspace.folder("tables")
    page = Page(
        about=about(results, families),
        claims=json.loads((tables / "claims.json").read_text()),
        tables=json.loads((tables / "tables.json").read_text()),
        drawings=drawings,
        grids=list(sample_grids(of_tables, families.get("generative", {}), results)),
        folder=folder,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(render(page), encoding="utf-8")


if __name__ == "__main__":
    run_stage("report", write_report, of_a_run=False)
