"""The texts of artifacts, without a server."""

import importlib
import pkgutil
from collections import Counter
from dataclasses import replace

import pytest
from lzn_testing import PROJECT
from prefect import Flow
from prefect.artifacts import Artifact

import pipelines
from pipelines.flow.publishing import VERDICTS, artifact_key, runs_table, verdict_first
from stages.reporting.claims.formats import claims_to_markdown
from stages.reporting.page.about import SeedOfRun


def test_the_page_of_claims_starts_with_the_verdicts_and_loses_nothing() -> None:
    page = (PROJECT / "results/digits/claims.md").read_text(encoding="utf-8")

    first, table, *others = verdict_first(page).split("\n\n")

    assert first.startswith(VERDICTS + "holds ")
    assert table.startswith("|    | Verdict ")
    assert Counter([first, table, *others]) == Counter(page.split("\n\n"))


def test_claims_are_written_as_this_reads_them() -> None:
    assert verdict_first(claims_to_markdown([], size="digits")).startswith(VERDICTS)


@pytest.mark.parametrize(
    "words", [("progress", "train@rf_lzn"), ("claims", "paper"), ("runs", "Fashion (2)")]
)
def test_a_key_is_one_that_prefect_accepts(words: tuple[str, str]) -> None:
    key = artifact_key(*words)
    assert Artifact(type="markdown", key=key).key == key
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_each_flow_has_a_name_of_its_own() -> None:
    modules = [module.name for module in pkgutil.walk_packages(pipelines.__path__, "pipelines.")]
    flows = [
        value
        for name in modules
        if name.endswith(".flows")
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, Flow)
    ]
    names = sorted(flow.name for flow in flows)
    assert names == ["reproduce", "reproduce-locally", "run-stage", "train-one"]


def test_runs_without_a_page_in_mlflow_have_no_link() -> None:
    run = SeedOfRun("rf", 0, "generation", "digits", 10, 64, "today", 60.0, link="")
    linked = replace(run, run="joint", link="http://mlflow/#/experiments/1/runs/2")
    assert runs_table([run, linked]).splitlines()[2:] == [
        f"| rf | 0 | generation | digits | today | {run.time} |",
        f"| [joint](http://mlflow/#/experiments/1/runs/2) | 0 | generation | digits | today | {run.time} |",
    ]
