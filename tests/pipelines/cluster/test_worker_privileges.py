"""What a worker refuses to run, and where it refuses to work: whoever may start a flow is not the owner of a worker."""

import dataclasses
import os
import stat
from pathlib import Path

import pytest
from lzn_testing.projects.toy_cluster import SIZE, ToyCluster

from pipelines.cluster.names import NotANameError, require_names
from pipelines.cluster.worker.commits import CommitError, mirror_with, resolve_commit
from pipelines.cluster.worker.private_folder import make_private
from pipelines.cluster.worker.remote_stage import RemoteStage
from pipelines.cluster.worker.settings import ClusterSettings, SettingsError

OTHER_USER = 12345


@pytest.fixture
def cluster(tmp_path: Path) -> ToyCluster:
    return ToyCluster.make(tmp_path)


@pytest.mark.parametrize("commit", ["main", "HEAD", "v1", "--upload-pack=x", ""])
def test_a_stage_is_run_at_a_full_hash_only(cluster: ToyCluster, commit: str) -> None:
    cluster.git("tag", "v1")
    with pytest.raises(CommitError, match=r"is no full hash: give the output of `git rev-parse HEAD`"):
        mirror_with(commit, cluster.machine())


def test_a_short_hash_is_refused_for_a_stage(cluster: ToyCluster) -> None:
    with pytest.raises(CommitError, match="is no full hash"):
        mirror_with(cluster.head[:12], cluster.machine())


def test_commits_outside_of_the_named_branches_are_not_run(cluster: ToyCluster) -> None:
    cluster.git("checkout", "--quiet", "-b", "proposal")
    proposed = cluster.commit()
    cluster.git("tag", "v1")
    settings = cluster.machine()
    with pytest.raises(CommitError, match=rf"contains {proposed}: these are main \(LZN_BRANCHES"):
        mirror_with(proposed, settings)
    for revision in ("proposal", "v1", "HEAD", proposed):
        with pytest.raises(CommitError, match="LZN_BRANCHES"):
            resolve_commit(revision, settings)

    allowed = dataclasses.replace(settings, branches=("main", "proposal"))
    assert resolve_commit("proposal", allowed) == proposed
    assert (mirror_with(proposed, allowed) / "HEAD").exists()


def test_a_commit_is_run_once_it_is_merged(cluster: ToyCluster) -> None:
    cluster.git("checkout", "--quiet", "-b", "proposal")
    proposed, settings = cluster.commit(), cluster.machine()
    with pytest.raises(CommitError, match="LZN_BRANCHES"):
        mirror_with(proposed, settings)
    cluster.git("checkout", "--quiet", "main")
    cluster.git("merge", "--quiet", "proposal")
    assert (mirror_with(proposed, settings) / "HEAD").exists()


def test_a_tag_named_like_a_branch_allows_nothing(cluster: ToyCluster) -> None:
    cluster.git("checkout", "--quiet", "-b", "proposal")
    proposed = cluster.commit()
    cluster.git("tag", "main", proposed)
    with pytest.raises(CommitError, match="LZN_BRANCHES"):
        mirror_with(proposed, cluster.machine())


def test_the_branches_are_those_of_the_environment() -> None:
    environment = {"LZN_REPOSITORY": "/project", "LZN_DVC_REMOTE": "s3://bucket"}
    assert ClusterSettings.from_environment(environment).branches == ("main",)
    named = {**environment, "LZN_BRANCHES": "main release/1"}
    assert ClusterSettings.from_environment(named).branches == ("main", "release/1")


@pytest.mark.parametrize("size", ["..", "../digits", "/etc", "a/b", "-x", "", "digits\n", "a b"])
def test_sizes_that_are_no_names_are_refused(size: str) -> None:
    with pytest.raises(NotANameError, match="is not a name: use a letter, then letters"):
        RemoteStage("0" * 40, size, "train@rf")


@pytest.mark.parametrize(
    "stage",
    ["..", "train@..", "train@a/b", "../dvc.yaml:train", "--force", "train@rf@x", "@rf", "train@", ""],
)
def test_stages_that_are_no_names_are_refused(stage: str) -> None:
    with pytest.raises(NotANameError, match="is not a name: use NAME or NAME@INSTANCE"):
        RemoteStage("0" * 40, "digits", stage)


def test_names_of_stages_are_accepted() -> None:
    require_names("digits", ("train@rf_lzn", "measure", "prepare@cifar10-small"))


def test_the_folder_of_a_worker_belongs_to_its_user_alone(cluster: ToyCluster) -> None:
    settings = cluster.machine()
    before = os.umask(0)  # rights must not depend on it
    try:
        resolve_commit("main", settings)
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings.work.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o702])
def test_a_folder_that_others_can_change_is_refused(cluster: ToyCluster, mode: int) -> None:
    settings = cluster.machine()
    settings.work.mkdir()
    settings.work.chmod(mode)
    with pytest.raises(SettingsError, match=r"LZN_WORK .* can be changed by other users: chmod 700"):
        cluster.run("prepare")
    assert cluster.executed == []


def test_a_folder_below_one_that_others_can_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    with pytest.raises(SettingsError, match=r"is below .*/shared, in which other users can replace it"):
        make_private(tmp_path / "shared" / "a" / "work")


def test_a_folder_behind_a_link_is_judged_by_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "shared" / "work").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "shared" / "work")
    with pytest.raises(SettingsError, match="in which other users can replace it"):
        make_private(tmp_path / "link")


def test_a_folder_below_one_with_the_sticky_bit_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    make_private(tmp_path / "shared" / "work")
    assert stat.S_IMODE((tmp_path / "shared" / "work").stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER_USER)  # to change an owner needs root
    with pytest.raises(SettingsError, match=rf"belongs to user \d+, and this process is user {OTHER_USER}"):
        make_private(tmp_path / "work")


def test_a_refused_name_runs_no_stage(cluster: ToyCluster) -> None:
    with pytest.raises(NotANameError):
        cluster.run("../prepare")
    assert (SIZE, cluster.executed) == ("toy", [])
