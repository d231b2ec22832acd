"""The plan of a size: its stages, its runs and their estimated cost."""

import os
from pathlib import Path

import pytest
from lzn_testing import PROJECT

from pipelines.check import read_params
from pipelines.memory import memory_of
from pipelines.memory_estimate import GIB
from pipelines.plan import estimate_cost, format_plan


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def test_the_papers_runs_have_the_cost_that_the_paper_gives() -> None:
    params = read_params(PROJECT / "sizes/paper.yaml")
    costs = {name: str(estimate_cost(run, params.data[run.data].kind)) for name, run in params.runs.items()}
    assert costs == {
        "cifar10_rf": "≤ 128",
        "cifar10_rf_lzn": "128",  # 8 hours on 16
        "afhq_cat_rf": "≤ 320",
        "afhq_cat_rf_lzn": "320",  # 10 on 32
        "celeba_hq_rf": "≤ 1,856",
        "celeba_hq_rf_lzn": "1,856",  # 58 on 32
        "lsun_bedroom_rf": "≤ 10,912",
        "lsun_bedroom_rf_lzn": "10,912",  # 341 on 32
        "imagenet": "230,400",  # 1800 on 128
        "imagenet_fixed_probe": "48,845",  # 1 060 000 of 5 000 000 iterations
        "cifar10_rf_conditional": "≤ 154",  # 60 000 of 50 000 iterations
        "cifar10_joint": "496",  # 31 on 16
        "cifar10_joint_no_gen": "≤ 496",
        "cifar10_joint_small_cutoff": "496",
    }


def test_data_that_the_paper_does_not_use_have_no_cost() -> None:
    params = read_params(PROJECT / "params.yaml")
    assert estimate_cost(params.runs["rf_lzn"], "digits") is None


@pytest.mark.slow  # it estimates the memory of all runs of the paper's size
def test_the_plan_lists_every_run_and_every_stage_after_its_dependencies() -> None:
    plan = format_plan(Path("sizes/paper.yaml"))
    lines = plan.splitlines()
    rows = {line.split()[1]: int(line.split()[0]) for line in lines if line[:3].strip().isdigit()}
    assert rows == {
        "prepare": 1, "features": 2, "train": 2, "sample": 3, "classify": 3, "settings": 3, "probe": 3, "tsne": 3,
        "zones": 3, "steps": 3, "measure": 4, "tables": 5, "report": 6, "results": 6,
    }  # fmt: skip
    (imagenet,) = (line for line in lines if line.split()[:1] == ["imagenet"])
    params = read_params(Path("sizes/paper.yaml"))
    memory = memory_of(params.runs["imagenet"], params.data["imagenet"], num_processes=8).total / GIB
    assert imagenet.split() == [
        "imagenet", "imagenet", "representation", "encoder", "28,231,232", "8,192", "5,000,000", "1", "8",
        f"{memory:,.2f}", "230,400",
    ]  # fmt: skip
    assert lines[0].endswith(f"{len(read_params(Path('sizes/paper.yaml')).runs)} runs")
    assert (
        os.linesep.join(lines).count("lsun_bedroom_rf_lzn") == 5
    )  # train, sample, steps, measure, and its row
