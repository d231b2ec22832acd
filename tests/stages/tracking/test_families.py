"""Seeds of a run are children of one parent, also when several processes or machines create it at once."""

import subprocess
import sys
from pathlib import Path

from lzn_testing import PROJECT
from lzn_testing.servers.mlflow_runs import families_of, runs_of
from mlflow.tracking import MlflowClient

from stages.tracking import RunIdentity, Tracker

FAMILY = RunIdentity("lzn", "rf", "fa" * 8)

SEED = """
import sys
from stages.tracking import RunIdentity, Tracker

family = RunIdentity("lzn", "rf", "fa" * 8)
seed = sys.argv[1]
with Tracker.open(RunIdentity("lzn", f"rf, seed {seed}", seed * 8, parent=family), tags={}) as tracker:
    tracker.finish()
"""


def seed(number: int) -> RunIdentity:
    return RunIdentity("lzn", f"rf, seed {number}", str(number) * 8, parent=FAMILY)


def parents(uri: str) -> dict[str, str]:
    return {run.info.run_name: run.data.tags["mlflow.parentRunId"] for run in runs_of(uri, "lzn")}


def test_seeds_are_children_of_a_finished_parent_that_later_records_find(uri: str, tmp_path: Path) -> None:
    for number in range(2):
        with Tracker.open(seed(number), outbox=tmp_path / "outbox", tags={}) as tracker:
            tracker.finish()
    with Tracker.join(FAMILY, outbox=tmp_path / "outbox", tags={"level": "family", "run": "rf"}) as tracker:
        tracker.log_summary({"measure/fd": 2.5, "measure/fd_std": 0.5, "paper/fid": 2.6})
    (family,) = families_of(uri, "lzn")
    assert (family.info.run_name, family.info.status) == ("rf", "FINISHED")
    assert family.data.metrics == {"measure/fd": 2.5, "measure/fd_std": 0.5, "paper/fid": 2.6}
    assert parents(uri) == {"rf, seed 0": family.info.run_id, "rf, seed 1": family.info.run_id}


def test_two_seeds_that_start_together_make_one_parent(uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEED]
    environment = {"PYTHONPATH": str(PROJECT), "MLFLOW_TRACKING_URI": uri, "PATH": "/usr/bin:/bin"}
    processes = [
        subprocess.Popen([*command, str(number)], cwd=tmp_path, env=environment) for number in range(3)
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    (family,) = families_of(uri, "lzn")
    assert parents(uri) == {f"rf, seed {number}": family.info.run_id for number in range(3)}


def test_parents_that_two_machines_created_become_one_with_all_children(uri: str, tmp_path: Path) -> None:
    """Two machines have different outboxes, so neither sees the lock of the other."""
    with Tracker.open(seed(0), outbox=tmp_path / "one", tags={}) as tracker:
        tracker.finish()
    (first,) = families_of(uri, "lzn")
    client = MlflowClient(uri)
    second = client.create_run(
        first.info.experiment_id, run_name="rf", tags={"lzn.key": FAMILY.key, "level": "family"}
    )
    for run in runs_of(uri, "lzn"):
        client.set_tag(run.info.run_id, "mlflow.parentRunId", second.info.run_id)
    with Tracker.open(seed(1), outbox=tmp_path / "two", tags={}) as tracker:
        tracker.finish()
    (family,) = families_of(uri, "lzn")
    assert family.info.run_id == first.info.run_id
    assert set(parents(uri).values()) == {first.info.run_id}


def test_a_run_of_an_older_version_without_parent_gets_one_when_its_training_starts_again(
    uri: str, tmp_path: Path
) -> None:
    old = RunIdentity("lzn", "rf, seed 0", "0" * 8)
    for identity in (old, seed(0)):
        with Tracker.open(identity, outbox=tmp_path / "outbox", tags={}) as tracker:
            tracker.finish()
    (family,) = families_of(uri, "lzn")
    assert parents(uri) == {"rf, seed 0": family.info.run_id}
