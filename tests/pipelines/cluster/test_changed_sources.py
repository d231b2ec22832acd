"""A flow notices that the files of a data set have changed, and workers prepare it again. Real git, DVC and files."""

import contextlib
import os
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml
from lzn_testing.projects.toy_cluster import SIZE, ToyCluster

from pipelines.cluster.changed_sources import forget_changed_sources
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.worker.checkouts import size_checkout
from pipelines.dag import dependencies_in
from pipelines.processes.signals import StopEvents
from rehearsal.file_formats import write_images

STAGE = "prepare@photos"


@pytest.fixture
def cluster(tmp_path: Path) -> ToyCluster:
    """A cluster whose stage copies a list of the photos, which are in the shared state of all machines."""
    cluster = ToyCluster.make(tmp_path)
    command = f"echo prepare >> {cluster.log} && mkdir -p made && ls -R data/photos > made/list"
    stage = {"cmd": command, "deps": ["code"], "outs": ["made/list"]}
    (cluster.project / "dvc.yaml").write_text(
        dumps_yaml({"stages": {"prepare": {"foreach": ["photos"], "do": stage}}})
    )
    photos = {"kind": "folder", "root": "data/photos", "image_size": 8, "test_fraction": 0.25, "seed": 0}
    (cluster.project / "params.yaml").write_text(dumps_yaml({"size": SIZE, "data": {"photos": photos}}))
    cluster.commit()
    write_images(cluster.machine().shared_state / "data/photos", ["tea/1.jpg", "tea/2.jpg", "coffee/1.jpg"])
    return cluster


def notice(cluster: ToyCluster, *, dry_run: bool = False) -> list[str]:
    """Do what a flow does first. Return what it logs."""
    logged: list[str] = []
    with size_checkout(cluster.head, SIZE, cluster.machine("control")):
        forget_changed_sources(dry_run=dry_run, stop=StopEvents(), log=logged.append)
    return logged


def is_made(cluster: ToyCluster) -> bool:
    with size_checkout(cluster.head, SIZE, cluster.machine("control")), Repo(os.curdir) as repo:
        return Resolution(repo, dependencies_in(repo, [STAGE])).find(STAGE)


@pytest.mark.slow
def test_a_data_set_with_changed_files_is_prepared_again_also_on_the_machine_that_prepared_it(
    cluster: ToyCluster,
) -> None:
    assert notice(cluster) == []
    cluster.run(STAGE)
    assert notice(cluster) == []
    assert is_made(cluster)

    (cluster.machine().shared_state / "data/photos/tea/2.jpg").unlink()
    expected = ["the files of photos have changed (2 files, 3 before): prepare@photos runs again"]
    assert notice(cluster, dry_run=True) == expected
    assert is_made(cluster), "a dry run changes nothing"
    assert notice(cluster) == expected
    assert not is_made(cluster)

    cluster.run(STAGE)
    assert cluster.executed == ["prepare", "prepare"]
    assert is_made(cluster)
    assert notice(cluster) == []


def test_an_older_program_in_the_checkout_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/__init__.py").touch()
    (tmp_path / "pipelines/sources.py").write_text("raise SystemExit('no such option: --list')\n")
    logged: list[str] = []
    with contextlib.chdir(tmp_path):
        forget_changed_sources(dry_run=False, stop=StopEvents(), log=logged.append)
    assert logged == ["changed files of data sets are not noticed: no such option: --list"]
