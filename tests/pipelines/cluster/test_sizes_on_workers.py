"""A worker uses the parameters of the size that it is given, whatever size params.yaml of the commit has."""

from pathlib import Path

import pytest
from lzn_testing.projects.toy_cluster import SIZE, ToyCluster

from lzn.base.sections import ParamsError
from pipelines.cluster.flows import launch_options
from pipelines.cluster.worker.checkouts import persistent_checkout
from pipelines.cluster.worker.remote_stage import RemoteStage, run_remote_stage
from pipelines.dag import read_dependencies
from pipelines.processes.commands import Limits
from pipelines.processes.signals import StopEvents
from pipelines.schedule import Outcome, StageResult
from pipelines.sizes import UnknownSizeError, current_size, switch_size


@pytest.fixture
def cluster(tmp_path: Path) -> ToyCluster:
    """Make a project whose first stage writes the size, with a second size in sizes/."""
    cluster = ToyCluster.make(
        tmp_path, prepare="mkdir inputs && cp source inputs/a && echo ${size} > inputs/b"
    )
    (cluster.project / "sizes").mkdir()
    (cluster.project / "sizes/large.yaml").write_text("size: large\n")
    cluster.commit()
    return cluster


def run(cluster: ToyCluster, size: str, stage: str = "prepare") -> StageResult:
    return run_remote_stage(
        RemoteStage(cluster.head, size, stage),
        cluster.machine(),
        limits=Limits(timeout=60, grace=5),
        stop=StopEvents(),
        log=lambda line: None,
    )


def test_a_stage_of_another_size_runs_with_the_parameters_of_that_size(cluster: ToyCluster) -> None:
    assert run(cluster, "large").outcome is Outcome.DONE
    assert cluster.object_file(b"large\n").exists()
    assert run(cluster, SIZE).outcome is Outcome.DONE
    assert cluster.object_file(f"{SIZE}\n".encode()).exists()
    assert run(cluster, "large").outcome is Outcome.UP_TO_DATE
    assert cluster.executed == ["prepare", "prepare"]


def test_outputs_of_one_size_are_no_inputs_of_another(cluster: ToyCluster) -> None:
    run(cluster, "large")
    with pytest.raises(RuntimeError, match="left is not run: it depends on prepare"):
        run(cluster, SIZE, "left")
    assert run(cluster, "large", "left").outcome is Outcome.DONE


def test_uncommitted_edits_of_the_repository_do_not_reach_a_worker(cluster: ToyCluster) -> None:
    (cluster.project / "params.yaml").write_text("size: edited\n")
    (cluster.project / "sizes/edited.yaml").write_text("size: edited\n")
    with pytest.raises(UnknownSizeError, match=f"no size edited; the sizes are large, {SIZE}"):
        run(cluster, "edited")
    assert run(cluster, SIZE).outcome is Outcome.DONE
    assert cluster.executed == ["prepare"]


def test_a_persistent_checkout_left_with_another_size_returns_to_the_commit(cluster: ToyCluster) -> None:
    for size in ("large", SIZE, "large"):
        with persistent_checkout(cluster.head, "kept", cluster.machine()) as folder:
            switch_size(size, folder)
            assert current_size(folder) == size
    with persistent_checkout(cluster.head, "kept", cluster.machine()) as folder:
        assert current_size(folder) == SIZE


def test_a_stage_without_resources_is_an_error_before_any_stage_starts(
    cluster: ToyCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options of all stages are made before the first one starts."""
    params = cluster.project / "params.yaml"
    params.write_text(
        f"size: {SIZE}\nresources:\n  prepare: {{pool: cpu}}\n"
    )  # and none for the other stages
    monkeypatch.chdir(cluster.project)
    with pytest.raises(ParamsError, match="resources has neither left nor default"):
        launch_options(SIZE, cluster.head, 0, read_dependencies())
