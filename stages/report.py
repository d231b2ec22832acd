"""Write the report: an HTML page with claims, tables, figures, sampled images and a description of the runs."""

import json
from pathlib import Path

from lzn.base.files import write_text
from lzn.base.sections import ParamsFile, Section
from stages.reporting.figures import draw_figures
from stages.reporting.page import Page, render
from stages.reporting.page.about import about
from stages.reporting.page.sample_images import sample_grids
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams
from stages.reporting.tables.tracked_results import results_identity
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall, run_stage
from stages.tracking import Tracker


class ReportParams(Section):
    """The section ``report`` of params.yaml."""

    picture: str | None = None
    """The run of case study 3 whose samples and zones are the first figure; None: no such figure."""


def write_report(call: StageCall) -> None:
    """Write the files of `write_page`, and log the page to MLflow."""
    folder = call.outputs.folder("report")
    page = write_page(call.params, call.outputs, tables=call.outputs.folder("tables"), folder=folder)
    identity = results_identity(call.outputs.size, tables=page.tables, claims=page.claims)
    with Tracker.join(identity, tags={}) as tracker:
        tracker.log_file(folder / "index.html", "report.html")


def write_page(params: ParamsFile, outputs: OutputPaths, *, tables: Path, folder: Path) -> Page:
    """Write ``index.html``, which needs no other file, and the figures as SVG and PNG files.

    Args:
        params: the parameter file.
        outputs: the paths of the size, whose numbers may be incomplete.
        tables: the folder with ``claims.json`` and ``tables.json``.
        folder: the folder to write to.
    """
    report_params: ReportParams = params.section("report", ReportParams)
    tables_params: TablesParams = params.section("tables", TablesParams)
    families: dict[str, dict[str, str]] = params.section("families", dict[str, dict[str, str]])
    results = Results(outputs, families)
    figures = draw_figures(tables_params, families, results, picture=report_params.picture)
    for figure in figures:
        figure.save(folder)
    page = Page(
        about=about(results, families),
        claims=json.loads((tables / "claims.json").read_text()),
        tables=json.loads((tables / "tables.json").read_text()),
        figures=figures,
        grids=list(sample_grids(tables_params, families.get("generative", {}), results)),
        folder=folder,
    )
    write_text(folder / "index.html", render(page))
    return page


if __name__ == "__main__":
    run_stage("report", write_report, has_items=False)
