"""The texts of artifacts, without a server."""

import importlib
import pkgutil
from dataclasses import replace

import pytest
from prefect import Flow
from prefect.artifacts import Artifact

import pipelines
from pipelines.flow.publishing import artifact_key, runs_table
from stages.reporting.page.about import SeedOfRun


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
