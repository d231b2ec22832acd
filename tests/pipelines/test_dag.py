"""The DAG has the names, edges, order and changes that DVC reports."""

from pathlib import Path

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo
from lzn_testing import PROJECT

from pipelines.dag import cached_dependencies_in, read_dag, read_dependencies

DIAMOND = {
    "join": ("cat left.txt right.txt > join.txt", ["left.txt", "right.txt"], ["join.txt"]),
    "left": ("cat root.txt > left.txt", ["root.txt"], ["left.txt"]),
    "right": ("cat root.txt > right.txt", ["root.txt"], ["right.txt"]),
    "root": ("cat seed.txt > root.txt", ["seed.txt"], ["root.txt"]),
}


@pytest.fixture
def diamond(toy_repository, monkeypatch) -> Path:
    root = toy_repository(**DIAMOND)
    (root / "seed.txt").write_text("1")
    monkeypatch.chdir(root)
    return root


def test_edges_are_the_stages_that_write_what_a_stage_reads(diamond):
    dependencies = {stage.name: set(stage.dependencies) for stage in read_dag()}

    assert dependencies == {"root": set(), "left": {"root"}, "right": {"root"}, "join": {"left", "right"}}


def test_read_dependencies_gives_the_same_in_the_same_order(diamond):
    with_status = {stage.name: stage.dependencies for stage in read_dag()}

    assert list(read_dependencies().items()) == list(with_status.items())


def test_stages_come_in_the_order_in_which_dvc_repro_runs_them(diamond):
    names = [stage.name for stage in read_dag()]

    with Repo() as repo:
        assert names == [stage.name for stage in repo.reproduce()]


def test_a_target_comes_with_its_dependencies_and_no_other_stage(diamond):
    assert [stage.name for stage in read_dag(["left"])] == ["root", "left"]


def test_a_family_of_stages_is_a_target(diamond):
    (diamond / "dvc.yaml").write_text(
        "stages:\n  one:\n    foreach: [a, b]\n    do: {cmd: 'echo ${item} > ${item}.txt', outs: ['${item}.txt']}\n"
        "  other: {cmd: 'echo > other.txt', outs: [other.txt]}\n"
    )

    assert {stage.name for stage in read_dag(["one"])} == {"one@a", "one@b"}


def test_an_unknown_target_is_an_error_of_dvc(diamond):
    with pytest.raises(DvcException, match="nonsense"):
        read_dag(["nonsense"])


def test_after_dvc_repro_nothing_needs_a_check(diamond):
    with Repo() as repo:
        repo.reproduce()

    assert not any(stage.needs_check for stage in read_dag())


def test_a_change_marks_the_stages_that_depend_on_it_and_no_other(diamond):
    with Repo() as repo:
        repo.reproduce()
    (diamond / "left.txt").unlink()

    assert {stage.name for stage in read_dag() if stage.needs_check} == {"left", "join"}


def test_a_frozen_stage_comes_without_its_dependencies_as_in_dvc_repro(diamond):
    with Repo() as repo:
        repo.reproduce()
        repo.freeze("left")
    (diamond / "seed.txt").write_text("2")

    assert {stage.name for stage in read_dag(["left"])} == {"left"}
    assert {stage.name for stage in read_dag() if stage.needs_check} == {"root", "right", "join"}


def test_stages_of_a_second_pipeline_file_keep_their_own_lock_file(diamond):
    other = diamond / "scales" / "dvc.yaml"
    other.parent.mkdir()
    other.write_text(
        "stages:\n  big: {cmd: 'cat ../root.txt > big.txt', deps: [../root.txt], outs: [big.txt]}\n"
    )

    root, big = read_dag(["scales/dvc.yaml"])

    assert (root.name, root.lock_file, root.lock_key) == ("root", diamond / "dvc.lock", "root")
    assert (big.name, big.lock_file, big.lock_key) == (
        "scales/dvc.yaml:big",
        other.with_name("dvc.lock"),
        "big",
    )


def test_stages_with_an_uncached_output_are_left_out_of_cached_dependencies(toy_repository, monkeypatch):
    root = toy_repository(
        first=("echo > first.txt", [], ["first.txt"]),
        shown=("cp first.txt shown.txt", ["first.txt"], ["kept.txt", {"shown.txt": {"cache": False}}]),
        last=("cat first.txt shown.txt > last.txt", ["first.txt", "shown.txt"], ["last.txt"]),
    )
    monkeypatch.chdir(root)

    assert read_dependencies()["last"] == {"first", "shown"}
    with Repo() as repo:
        assert cached_dependencies_in(repo) == {"first": frozenset(), "last": {"first"}}
        assert cached_dependencies_in(repo, ["shown"]) == {"first": frozenset()}


def test_in_the_project_only_results_are_left_out_of_cached_dependencies(monkeypatch):
    monkeypatch.chdir(PROJECT)

    with Repo() as repo:
        left_out = set(read_dependencies()) - set(cached_dependencies_in(repo))

    assert {name.partition("@")[0] for name in left_out} == {"results"}
