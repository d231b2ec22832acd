"""The saved views of an experiment, in the format that MLflow's user interface reads, and the address of one."""

import json
import re
from pathlib import Path

import mlflow
import pytest
from lzn_testing.servers.mlflow_runs import new_database

from stages.tracking import RunIdentity, Tracker
from stages.tracking.saved_views import CURVES, OURS_BESIDE_THE_PAPERS, TAG, saved_views
from stages.tracking.view import address

METRICS = ["measure/fd_digits", "paper/fid"]


def test_the_envelope_and_the_state_have_the_fields_that_the_user_interface_reads() -> None:
    views = saved_views(METRICS)
    envelopes = {name.removeprefix(TAG): json.loads(text) for name, text in views.items()}
    assert {key: envelope["name"] for key, envelope in envelopes.items()} == {
        OURS_BESIDE_THE_PAPERS: "Ours beside the paper's",
        CURVES: "Curves",
    }
    state = json.loads(envelopes[OURS_BESIDE_THE_PAPERS]["state"])
    assert state["searchFilter"] == "tags.level = 'family'"
    assert state["selectedColumns"][1:] == ["metrics.`measure/fd_digits`", "metrics.`paper/fid`"]
    assert json.loads(envelopes[CURVES]["state"])["groupBy"]["groupByKeys"] == [
        {"mode": "tag", "groupByData": "run"}
    ]


def test_views_with_many_metrics_fit_into_the_tag_of_an_experiment() -> None:
    views = saved_views([f"measure/a_metric_with_a_long_name_{number}" for number in range(200)])
    assert all(len(text) <= 5000 for text in views.values())


def test_the_installed_user_interface_still_has_this_format() -> None:
    """The format is not documented: this test fails if a new version of MLflow changes the names that it reads."""
    folder = Path(mlflow.__file__).parent / "server/js/build/static/js"
    code = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.js"))
    assert f'"{TAG}"' in code
    for name in ("viewStateShareKey", "workflowType", "machine_learning", "compareRunsMode", "createdAt"):
        assert name in code
    states = re.findall(r'\["selectedColumns",[^\]]*\]', code)
    names = ('"selectedColumns"', '"groupBy"', '"useGroupedValuesInCharts"', '"runsHiddenMode"')
    assert any(all(name in state for name in names) for state in states)
    assert re.search(r"searchFilter:\"\",orderByKey", code)


def test_the_address_opens_trainings_at_the_view_as_soon_as_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_database(tmp_path))
    local = "http://127.0.0.1:5001"
    assert address("tiny", local=local) == f"{local}/#/experiments?workflowType=machine_learning"
    with Tracker.open(RunIdentity("lzn-tiny", "rf", "0123abcd"), outbox=tmp_path / "out", tags={}) as tracker:
        assert address("tiny", local=local) == f"{local}/#/experiments/1/runs?workflowType=machine_learning"
        tracker.set_experiment_tags(saved_views(METRICS))
        tracker.finish()
    assert address("tiny", local=local) == (
        f"{local}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=ours-beside-the-papers"
        "&compareRunsMode=TABLE"
    )
