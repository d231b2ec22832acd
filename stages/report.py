"""Write the report: an HTML page with claims, tables, figures, sampled images and a description of the runs."""

import json

from lzn.base.files import write_text
from lzn.base.sections import Section
from stages.reporting.figures import draw_figures
from stages.reporting.page import Page, render
from stages.reporting.page.about import about
from stages.reporting.page.sample_images import sample_grids
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams
from stages.reporting.tables.tracked_results import results_identity
from stages.runtime.stage_main import StageCall, run_stage
from stages.tracking import Tracker


class ReportParams(Section):
    """The section ``report`` of params.yaml."""

    picture: str | None = None
    """The run of case study 3 whose samples and zones are the first figure; None: no such figure."""


def write_report(call: StageCall) -> None:
    """Write ``index.html``, which needs no other file, and the figures as SVG and PNG files."""
    params: ReportParams = call.params.section("report", ReportParams)
    tables_params: TablesParams = call.params.section("tables", TablesParams)
    families: dict[str, dict[str, str]] = call.params.section("families", dict[str, dict[str, str]])
    results, folder = Results(call.outputs), call.outputs.folder("report")
    figures = draw_figures(tables_params, families, results, picture=params.picture)
    for figure in figures:
        figure.save(folder)
    tables = call.outputs.folder("tables")
    page = Page(
        about=about(results, families),
        claims=json.loads((tables / "claims.json").read_text()),
        tables=json.loads((tables / "tables.json").read_text()),
        figures=figures,
        grids=list(sample_grids(tables_params, families.get("generative", {}), results)),
        folder=folder,
    )
    write_text(folder / "index.html", render(page))
    identity = results_identity(call.outputs.size, tables=page.tables, claims=page.claims)
    with Tracker.join(identity, tags={}) as tracker:
        tracker.log_file(folder / "index.html", "report.html")


if __name__ == "__main__":
    run_stage("report", write_report, has_items=False)
