"""The results of a size in MLflow: a run with tables and claims, the paper's numbers beside ours, and saved views."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.reporting.metrics import METRICS
from stages.reporting.results import Results
from stages.reporting.tables.formats import table_to_columns
from stages.reporting.tables.paper_of_runs import paper_of_runs
from stages.reporting.tables.table import Table
from stages.reporting.tables.tables_params import TablesParams
from stages.runtime.page_tags import page_tags
from stages.runtime.provenance import git_commit
from stages.tracking import RunIdentity, Scalar, Tracker
from stages.tracking.saved_views import saved_views
from stages.tracking.seed_identity import experiment_of, family_of_content

_LONGEST_NOTE = 8000
"""Characters of a description in MLflow."""


def results_identity(size: str, *, tables: Any, claims: Any) -> RunIdentity:
    """Return the identity of the run with these contents of ``tables.json`` and ``claims.json``."""
    key = hashlib.sha256(json.dumps([tables, claims], sort_keys=True).encode()).hexdigest()[:16]
    return RunIdentity(experiment_of(size), "results", key)


def track_results(
    params: TablesParams,
    results: Results,
    tables: Sequence[Table],
    *,
    claims: Mapping[str, Sequence[Scalar]],
    markdown: str,
    identity: RunIdentity,
    files: Sequence[Path],
) -> None:
    """Log the run ``results`` and what belongs to its families.

    Args:
        params: which run stands for which method of the paper.
        results: the numbers of the size.
        tables: all tables.
        claims: columns of the table of claims.
        markdown: the claims as Markdown, which becomes the description of the run.
        identity: of the run, from `results_identity`.
        files: files that are stored in the run.
    """
    size = results.outputs.size
    contents = {run: list(results.configurations(run).values()) for run in _trained_runs(results)}
    paper = paper_of_runs(params)
    for run, of_seeds in contents.items():
        if run in paper and of_seeds:
            with Tracker.join(family_of_content(of_seeds[0]), tags={"level": "family"}) as tracker:
                tracker.log_summary(paper[run])
    page = page_tags("stages/tables.py", description=markdown[:_LONGEST_NOTE])
    tags = {**page, "stage": "tables", "size": size, "level": "results", "git_commit": git_commit()}
    with Tracker.open(identity, tags=tags) as tracker:
        for table in tables:
            tracker.log_table(table_to_columns(table), f"tables/{table.name}.json")
        tracker.log_table(claims, "tables/claims.json")
        for file in files:
            tracker.log_file(file, file.name)
        tracker.log_used_models([content["key"] for of_seeds in contents.values() for content in of_seeds])
        tracker.set_experiment_tags(saved_views(_columns(results, paper)))
        tracker.finish()


def _trained_runs(results: Results) -> list[str]:
    return sorted(
        {file.parents[1].name for file in results.outputs.folder("train").glob("*/seed_*/run.json")}
    )


def _columns(results: Results, paper: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the metrics of the view: each of the paper's with ours before it, in the order of the paper's tables."""
    ours = {
        f"{stage}/{name}"
        for stage in ("measure", "classify", "probe")
        for run in _trained_runs(results)
        for name in results.flat(stage, run)
    }
    columns: list[str] = []
    for name in dict.fromkeys(name for of_run in paper.values() for name in of_run):
        columns += [*_ours_beside(name.removeprefix("paper/"), ours), name]
    return columns


def _ours_beside(metric: str, ours: set[str]) -> list[str]:
    """Return the names of our metrics for one of the paper, or for the distance that takes its place."""
    key, substitute = METRICS[metric].key, METRICS[metric].substitute
    names = (f"measure/{key}", f"classify/{key}", f"probe/trained.without_head.{key}")
    found = [name for name in names if name in ours]
    if not found and substitute:
        found = sorted(name for name in ours if name.startswith(f"measure/{substitute}"))
    return found
