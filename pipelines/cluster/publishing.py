"""Publish the tables of a finished flow as Prefect artifacts, with links to the runs in MLflow."""

from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from lzn.base.sections import ParamsFile
from stages.reporting.page.about import SeedOfRun, about
from stages.reporting.results import Results
from stages.runtime.outputs import OutputPaths

PAGES = {
    "claims": "The verdict on each of the paper's claims",
    "tables": "The paper's tables with our results",
}


def publish_tables(params_file: Path) -> None:
    """Publish claims, tables and runs of the current size as artifacts of the running flow.

    If there are no tables, only the runs are published. If MLflow is unavailable, the links are missing.
    """
    params = ParamsFile.read(params_file)
    outputs = OutputPaths(params.section("size", str))
    families: dict[str, dict[str, str]] = params.section("families", dict[str, dict[str, str]])
    for name, description in PAGES.items():
        file = outputs.folder("tables") / f"{name}.md"
        if file.exists():
            create_markdown_artifact(file.read_text(encoding="utf-8"), f"{name}-{outputs.size}", description)
    found = about(Results(outputs), families)
    if found.runs:
        create_markdown_artifact(
            runs_table(found.runs), f"runs-{outputs.size}", "Trained runs, with their pages in MLflow"
        )


def runs_table(runs: Sequence[SeedOfRun]) -> str:
    """Return a Markdown table with a row for each seed of a run."""
    lines = ["| run | seed | study | data | started | trained for |", "|---|---|---|---|---|---|"]
    for run in runs:
        name = f"[{run.run}]({run.link})" if run.link else run.run
        lines.append(f"| {name} | {run.seed} | {run.study} | {run.data} | {run.started} | {run.time} |")
    return "\n".join(lines)
