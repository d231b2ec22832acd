"""Artifacts of the running flow: the verdict on each claim, tables, and the trained runs with links to MLflow."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.exceptions import PrefectException

from lzn.base.sections import ParamsFile
from pipelines.processes.commands import Log
from stages.runtime.outputs import PARTIAL_REPORT, OutputPaths

if TYPE_CHECKING:
    from stages.reporting.page.about import SeedOfRun

SERVER_ERRORS: Final = (httpx.HTTPError, OSError, PrefectException)
"""Errors of a request to Prefect's server, also of one that does not answer."""


def artifact_key(*words: str) -> str:
    """Return a key of an artifact, which has only lowercase letters, numbers and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def publish(create: Callable[[], object], log: Log) -> None:
    """Create an artifact. If Prefect's server does not accept it, log why: no flow fails because of an artifact."""
    try:
        create()
    except SERVER_ERRORS as error:
        log(f"Prefect has no artifact of this: {type(error).__name__}: {error}")


def publish_markdown(text: str, key: str, description: str, log: Log) -> None:
    """Create a Markdown artifact with `publish`."""
    publish(lambda: create_markdown_artifact(text, key, description), log)


def publish_results(params_file: Path, log: Log) -> None:
    """Publish claims, tables and runs of the current size as artifacts of the running flow.

    The tables are those of the stage ``tables`` or of the partial report, whichever are newer. If MLflow is
    unavailable, the links are missing.
    """
    from stages.reporting.page.about import about  # noqa: PLC0415 - imports plotting libraries
    from stages.reporting.results import Results  # noqa: PLC0415

    params = ParamsFile.read(params_file)
    outputs = OutputPaths(params.section("size", str))
    folders = [outputs.folder("tables"), outputs.folder(PARTIAL_REPORT)]
    tables = max(folders, key=_written_at)
    if (claims := tables / "claims.md").exists():
        page = claims.read_text(encoding="utf-8")
        verdicts = page.split("\n\n")[1]
        publish_markdown(page, artifact_key("claims", outputs.size), verdicts, log)
    if (numbers := tables / "tables.md").exists():
        page = numbers.read_text(encoding="utf-8")
        publish_markdown(page, artifact_key("tables", outputs.size), "Our results in the paper's tables", log)
    families: dict[str, dict[str, str]] = params.section("families", dict[str, dict[str, str]])
    if runs := about(Results(outputs, families), families).runs:
        description = "Trained runs, with their pages in MLflow"
        publish_markdown(runs_table(runs), artifact_key("runs", outputs.size), description, log)
        publish_link_to_mlflow(outputs.size, [run.link for run in runs], log)


def _written_at(folder: Path) -> float:
    file = folder / "claims.md"
    return file.stat().st_mtime if file.exists() else 0.0


def runs_table(runs: "Sequence[SeedOfRun]") -> str:
    """Return a Markdown table with a row for each seed of a run."""
    lines = ["| run | seed | study | data | started | trained for |", "|---|---|---|---|---|---|"]
    for run in runs:
        name = f"[{run.run}]({run.link})" if run.link else run.run
        lines.append(f"| {name} | {run.seed} | {run.study} | {run.data} | {run.started} | {run.time} |")
    return "\n".join(lines)


def publish_link_to_mlflow(size: str, links: Sequence[str], log: Log) -> None:
    """Publish the address of the experiment in which MLflow has the runs, if it is a web page."""
    pages = [link.partition("/runs/")[0] for link in links if link.startswith("http")]
    if pages:
        key, text = artifact_key("mlflow", size), f"Runs of {size} in MLflow"
        publish(lambda: create_link_artifact(pages[0], key=key, link_text=text, description=text), log)
