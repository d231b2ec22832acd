"""Tracking by several processes, some of them killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lzn_testing import PROJECT
from lzn_testing.servers.mlflow_runs import curve, new_database, only_run, runs_of

from stages.tracking import RunIdentity, Tracker
from stages.tracking.server import connect

KEY = "0123abcd"

STAGE = """
import sys, time
from pathlib import Path
from stages.tracking import MetricRow, RunIdentity, Tracker

name, key, wait = sys.argv[1:]
with Tracker.open(RunIdentity("lzn-digits", name, key), tags={}, send_every_s=3600) as tracker:
    tracker.log_metrics([MetricRow(step, 1_800_000_000_000, {"loss": 1.0}) for step in range(5)])
    Path(f"{name}.logged").touch()
    time.sleep(float(wait))
    tracker.finish()
"""


def start_stage(folder: Path, *arguments: str, uri: str | None) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    if uri:
        environment["MLFLOW_TRACKING_URI"] = uri
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{path} was not created"
        time.sleep(0.02)


def test_the_next_run_ends_a_training_killed_with_sigkill_and_sends_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    process = start_stage(tmp_path, "rf", KEY, "3600", uri=uri)
    wait_for(tmp_path / "rf.logged", process)
    process.kill()
    process.communicate()
    assert only_run(uri, "lzn-digits").data.metrics == {}  # still in the outbox
    outbox = tmp_path / ".mlflow-outbox"
    living = Tracker.open(RunIdentity("lzn-digits", "joint", "89abcdef"), outbox=outbox, tags={})
    Tracker.open(RunIdentity("lzn-digits", "rf_lzn", "4567abcd"), outbox=outbox, tags={})
    by_name = {run.info.run_name: run for run in runs_of(uri, "lzn-digits")}
    assert by_name["rf"].info.status == "KILLED"
    assert [step for step, _ in curve(uri, by_name["rf"], "loss")] == list(range(5))
    assert by_name["joint"].info.status == "RUNNING"
    living.__exit__(None, None, None)


def test_two_stages_started_at_once_in_a_new_folder_share_one_database_and_print_nothing(
    tmp_path: Path,
) -> None:
    stages = [
        start_stage(tmp_path, name, key, "0", uri=None) for name, key in (("rf", KEY), ("joint", "4567abcd"))
    ]
    outputs = [process.communicate(timeout=120)[0] for process in stages]
    assert [process.returncode for process in stages] == [0, 0], outputs
    assert outputs == ["", ""]
    runs = runs_of(f"sqlite:///{tmp_path}/mlflow.db", "lzn-digits")
    assert sorted((run.info.run_name, run.info.status) for run in runs) == [
        ("joint", "FINISHED"),
        ("rf", "FINISHED"),
    ]
    assert all(Path(run.info.artifact_uri).is_relative_to(tmp_path / "mlartifacts") for run in runs)
    assert list((tmp_path / ".mlflow-outbox").glob("*/journal.jsonl")) == []


def test_a_stage_killed_while_it_creates_the_database_leaves_no_partial_database(tmp_path: Path) -> None:
    process = start_stage(tmp_path, "rf", KEY, "0", uri=None)
    wait_for(tmp_path / "mlflow.db.new", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    client = connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.get_experiment_by_name("Default") is not None
