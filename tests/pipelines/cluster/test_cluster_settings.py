"""Settings of a machine, and checkouts of commits."""

import subprocess
from pathlib import Path

import pytest
from lzn_testing.projects.toy_cluster import ToyCluster

from pipelines.cluster.worker.checkouts import exclude_dvc_lock, temporary_checkout
from pipelines.cluster.worker.commits import CommitError, resolve_commit
from pipelines.cluster.worker.settings import ClusterSettings, SettingsError, without_credentials


@pytest.mark.parametrize("missing", ["LZN_REPOSITORY", "LZN_DVC_REMOTE"])
def test_a_missing_variable_is_named(missing: str) -> None:
    environment = {"LZN_REPOSITORY": "/project", "LZN_DVC_REMOTE": "s3://bucket"}
    del environment[missing]
    with pytest.raises(SettingsError, match=missing):
        ClusterSettings.from_environment(environment)


def test_a_relative_folder_is_refused() -> None:
    environment = {"LZN_REPOSITORY": "/project", "LZN_DVC_REMOTE": "s3://bucket", "LZN_WORK": "work"}
    with pytest.raises(SettingsError, match="LZN_WORK must be an absolute path, got work"):
        ClusterSettings.from_environment(environment)


def test_state_is_in_the_folder_of_the_machine_unless_it_is_shared() -> None:
    environment = {"LZN_REPOSITORY": "/project", "LZN_DVC_REMOTE": "s3://bucket", "LZN_WORK": "/work"}
    assert ClusterSettings.from_environment(environment).shared_state == Path("/work/state")
    shared = ClusterSettings.from_environment({**environment, "LZN_SHARED_STATE": "/shared"})
    assert (shared.work, shared.shared_state) == (Path("/work"), Path("/shared"))


def test_a_url_is_shown_without_user_and_password() -> None:
    assert without_credentials("https://me:secret@example.org/x.git") == "https://example.org/x.git"
    assert without_credentials("/a/folder") == "/a/folder"


def test_a_commit_is_found_by_branch_tag_and_short_hash(tmp_path: Path) -> None:
    cluster = ToyCluster.make(tmp_path)
    cluster.git("tag", "v1")
    head, settings = cluster.head, cluster.machine()
    assert {resolve_commit(name, settings) for name in ("main", "v1", "HEAD", head[:10], head)} == {head}


def test_a_branch_moves_on(tmp_path: Path) -> None:
    cluster = ToyCluster.make(tmp_path)
    before = resolve_commit("main", cluster.machine())
    after = cluster.commit()
    assert before != after
    assert resolve_commit("main", cluster.machine()) == resolve_commit("HEAD", cluster.machine()) == after


def test_errors_about_commits_and_repositories_contain_no_secrets(tmp_path: Path) -> None:
    cluster = ToyCluster.make(tmp_path)
    with pytest.raises(CommitError, match="has no branch, tag or commit nowhere"):
        resolve_commit("nowhere", cluster.machine())
    away = ClusterSettings(
        repository="https://me:secret@localhost:1/x.git",
        remote="",
        work=tmp_path / "w",
        shared_state=tmp_path,
    )
    with pytest.raises(CommitError, match=r"cannot fetch from https://localhost:1/x\.git: ") as caught:
        resolve_commit("main", away)
    assert "secret" not in str(caught.value)


def test_a_checkout_without_dvc_lock_counts_as_unchanged(tmp_path: Path) -> None:
    cluster = ToyCluster.make(tmp_path)
    (cluster.project / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    with temporary_checkout(cluster.commit(), cluster.machine()) as folder:
        exclude_dvc_lock(folder)
        assert (folder / "dvc.yaml").exists()
        assert not (folder / "dvc.lock").exists()
        status = subprocess.run(
            ["git", "status", "--porcelain"], cwd=folder, check=True, capture_output=True, text=True
        )
        assert status.stdout == ""
