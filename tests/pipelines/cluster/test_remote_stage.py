"""One stage on a worker: no other stage runs, it runs once, and its inputs are verified. Real git and DVC."""

import contextlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.utils.serialize import load_yaml
from lzn_testing.projects.toy_cluster import LOG_VARIABLE, STAGES, ToyCluster

from pipelines.cluster.collector import collect, main
from pipelines.cluster.remote.files import DamagedOutputsError
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.worker.checkouts import persistent_checkout
from pipelines.cluster.worker.remote_stage import MissingInputsError
from pipelines.dag import dependencies_in
from pipelines.schedule import Outcome


@pytest.fixture
def cluster(tmp_path: Path) -> ToyCluster:
    return ToyCluster.make(tmp_path)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToyCluster:
    """A cluster whose remote has the outputs of all stages."""
    cluster = ToyCluster.finished(tmp_path)
    monkeypatch.setenv(LOG_VARIABLE, str(cluster.log))
    return cluster


def run_all(cluster: ToyCluster, machines: tuple[str, ...]) -> None:
    for number, stage in enumerate(STAGES):
        assert cluster.run(stage, machines[number % len(machines)]).outcome is Outcome.DONE


def collect_into(cluster: ToyCluster, machine: str) -> Path:
    with (
        persistent_checkout(cluster.head, "toy", cluster.machine(machine)) as folder,
        contextlib.chdir(folder),
        Repo(os.curdir) as repo,
    ):
        dependencies = dependencies_in(repo)
        resolution = Resolution(repo, dependencies)
        assert resolution.find_all(dependencies) == ()
        collect(repo, resolution)
    return folder


def dvc(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stage_with_missing_inputs_is_an_error_and_nothing_runs(cluster: ToyCluster) -> None:
    cluster.run("prepare")
    with pytest.raises(MissingInputsError, match=r"join is not run: it depends on left, right, which"):
        cluster.run("join")
    assert cluster.executed == ["prepare"]


def test_each_stage_is_executed_once_on_any_number_of_machines(cluster: ToyCluster) -> None:
    run_all(cluster, ("one", "two", "three"))
    assert {cluster.run(stage, "four").outcome for stage in STAGES} == {Outcome.UP_TO_DATE}
    assert cluster.executed == ["prepare", "left", "right", "join"]


def test_a_worker_restores_the_dependencies_of_a_stage_and_no_other_output(tmp_path: Path) -> None:
    """`right` also writes `details`, which is not on the machine that runs `join`."""
    cluster = ToyCluster.make(
        tmp_path, join="ls -d inputs made/left made/right details > joined 2> /dev/null || true"
    )
    run_all(cluster, ("one", "two", "three", "four"))
    assert cluster.object_file(b"made/left\nmade/right\n").exists()


def test_collected_outputs_and_lock_are_those_of_dvc_repro(finished: ToyCluster) -> None:
    collected = collect_into(finished, "collector")
    dvc(finished.project, "repro")
    assert (collected / "dvc.lock").read_bytes() == (finished.project / "dvc.lock").read_bytes()
    assert (collected / "joined").read_text() == (finished.project / "joined").read_text()
    assert dvc(collected, "status", "--json").strip() == "{}"


def test_dvc_alone_restores_what_workers_pushed(finished: ToyCluster) -> None:
    """The remote is usable without the flows of this project."""
    dvc(finished.project, "remote", "add", "--local", "--default", "cluster", str(finished.remote))
    dvc(finished.project, "fetch", "--run-cache")
    dvc(finished.project, "repro", "--pull")
    assert finished.executed == ["prepare", "left", "right", "join"]


def test_workers_restore_what_dvc_pushed_with_the_run_cache(cluster: ToyCluster) -> None:
    dvc(cluster.project, "remote", "add", "--local", "--default", "cluster", str(cluster.remote))
    dvc(cluster.project, "repro")
    dvc(cluster.project, "push", "--run-cache")
    assert {cluster.run(stage).outcome for stage in STAGES} == {Outcome.UP_TO_DATE}


def test_after_a_change_only_the_stages_that_depend_on_it_run(finished: ToyCluster) -> None:
    (finished.project / "code").write_text("other code\n")
    finished.commit()
    outcomes = {stage: finished.run(stage).outcome for stage in STAGES}
    assert outcomes == {
        "prepare": Outcome.UP_TO_DATE, "left": Outcome.DONE, "right": Outcome.UP_TO_DATE, "join": Outcome.DONE,
    }  # fmt: skip


def test_a_clone_collects_outputs_and_names_missing_stages(
    cluster: ToyCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(cluster.project)
    assert main([]) == 1
    assert "dvc remote add --local --default" in capsys.readouterr().err
    dvc(cluster.project, "remote", "add", "--local", "--default", "cluster", str(cluster.remote))
    cluster.run("prepare")
    assert main([]) == 1
    said = capsys.readouterr()
    assert said.out == "Collected 1 of 4 stages.\n"
    assert said.err == "error: no outputs for the code and parameters in this clone: left, right\n"
    for stage in ("left", "right", "join"):
        cluster.run(stage)
    assert main([]) == 0
    assert (cluster.project / "joined").exists()
    assert dvc(cluster.project, "status", "--json").strip() == "{}"


@pytest.mark.parametrize("loss", ["corrupted", "deleted"])
def test_a_damaged_object_is_not_used_and_only_its_stage_runs_again(cluster: ToyCluster, loss: str) -> None:
    cluster.run("prepare")
    damaged = cluster.object_file(b"source\n")
    damaged.chmod(0o644)
    if loss == "corrupted":
        damaged.write_bytes(b"sauce!\n")
    else:
        damaged.unlink()
    with pytest.raises(
        MissingInputsError, match=r"left is not run: missing or damaged in the remote: .* \(of prepare\)"
    ):
        cluster.run("left", "other")
    with pytest.raises(MissingInputsError, match="depends on prepare"):
        cluster.run("left", "other")
    assert cluster.run("prepare", "third").outcome is Outcome.DONE
    assert cluster.run("left", "other").outcome is Outcome.DONE
    assert cluster.executed == ["prepare", "prepare", "left"]


def test_a_damaged_list_of_files_counts_as_missing(cluster: ToyCluster) -> None:
    cluster.run("prepare")
    (listing,) = (cluster.remote / "files").rglob("*.dir")
    listing.chmod(0o644)
    listing.write_text(listing.read_text().replace('"relpath": "a"', '"relpath": "c"'))
    with pytest.raises(MissingInputsError, match="depends on prepare"):
        cluster.run("left", "other")


def test_an_entry_without_the_content_of_its_hash_counts_as_missing(cluster: ToyCluster) -> None:
    cluster.run("prepare")
    (entry,) = [file for file in (cluster.remote / "runs").rglob("*") if file.is_file()]
    content = load_yaml(str(entry))
    entry.write_text(entry.read_text().replace(content["outs"][0]["md5"][:4], "0000"))
    assert cluster.run("prepare").outcome is Outcome.DONE


def test_the_collector_finds_a_damaged_object_and_does_not_use_it(finished: ToyCluster) -> None:
    damaged = finished.object_file(b"7\n")  # inputs/b, and the copy that `right` writes
    damaged.chmod(0o644)
    damaged.write_bytes(b"8\n")
    with pytest.raises(DamagedOutputsError) as caught:
        collect_into(finished, "other")
    assert caught.value.stages == ("prepare", "right")
    assert not (finished.root / "other" / "collected" / "toy" / "joined").exists()


def test_a_stage_that_two_workers_start_at_once_is_executed_once(tmp_path: Path) -> None:
    cluster = ToyCluster.make(
        tmp_path, prepare="sleep 3 && mkdir inputs && cp source inputs/a && echo 7 > inputs/b"
    )
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=cluster.run, args=("prepare", machine)) for machine in ("one", "two")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert cluster.executed == ["prepare"]


def test_a_failed_stage_is_reported_and_pushes_nothing(tmp_path: Path) -> None:
    cluster = ToyCluster.make(tmp_path, prepare="echo broken && false")
    result = cluster.run("prepare")
    assert result.outcome is Outcome.FAILED
    assert "broken" in result.error
    assert not list(cluster.remote.rglob("*"))


def test_a_checkout_is_removed_after_its_stage_and_an_abandoned_one_by_the_next(cluster: ToyCluster) -> None:
    abandoned = cluster.root / "machine" / "checkouts" / "abandoned"
    abandoned.mkdir(parents=True)
    abandoned.with_suffix(".lock").touch()
    cluster.run("prepare")
    assert list((cluster.root / "machine" / "checkouts").iterdir()) == []
