"""Which entry of the run-cache a stage has: by parameters, by outputs, after damage, and with two clients."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from lzn_testing.projects.made_up_entries import (
    make_repo,
    open_resolution,
    publish,
    publish_folder,
    write_params,
)

from pipelines.cluster.remote.resolution import Resolution, UnknownInputsError

PARAMS = {"split": {"seed": 1}, "runs": {"rf": {"steps": 10}, "joint": {"steps": 20}}, "title": "unused"}
STAGES = {
    "prepare": {"params": ["split"], "outs": ["inputs"]},
    "rf": {"deps": ["inputs"], "params": ["runs.rf"], "outs": ["weights/rf"]},
    "joint": {"deps": ["inputs"], "params": ["runs.joint"], "outs": ["weights/joint"]},
    "tables": {"deps": ["weights"], "outs": ["tables.md"]},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that is the current folder; each stage has an entry."""
    monkeypatch.chdir(tmp_path)
    make_repo(tmp_path, STAGES, PARAMS)
    resolution = open_resolution(tmp_path)
    for stage in STAGES:
        publish(resolution, stage)
        assert resolution.find(stage)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "run_again"),
    [
        ({}, ()),
        ({"title": "other"}, ()),
        ({"split": {"seed": 2}}, ("prepare",)),  # the others have no key before its outputs are known
        ({"runs": {"rf": {"steps": 11}, "joint": {"steps": 20}}}, ("rf",)),
        ({"runs": {"rf": {"steps": 10}, "joint": {"steps": 21}}}, ("joint",)),
    ],
)
def test_a_changed_parameter_runs_its_stages_again_and_no_others(
    folder: Path, change: Mapping[str, Any], run_again: tuple[str, ...]
) -> None:
    write_params(folder, PARAMS | change)
    resolution = open_resolution(folder)
    assert resolution.find_all(STAGES) == run_again
    assert bool(run_again) == ("tables" not in resolution.entries)


def test_new_outputs_of_a_stage_run_those_after_it_again_and_equal_outputs_do_not(folder: Path) -> None:
    write_params(folder, PARAMS | {"split": {"seed": 2}})
    publish(open_resolution(folder), "prepare")  # the same outputs with other parameters
    assert open_resolution(folder).find_all(STAGES) == ()
    write_params(folder, PARAMS | {"split": {"seed": 3}})
    publish(open_resolution(folder), "prepare", "other")
    assert open_resolution(folder).find_all(STAGES) == ("rf", "joint")


@pytest.mark.parametrize(("lost", "remade"), [("a", "b"), ("b", "a")])
def test_the_remade_entry_is_found_after_a_damaged_list_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str, remade: str
) -> None:
    """In one of the two cases the withdrawn entry would come first: entries are read in the order of their hashes."""
    monkeypatch.chdir(tmp_path)
    make_repo(tmp_path, {"prepare": {"outs": ["inputs"]}, "train": {"deps": ["inputs"], "outs": ["w"]}}, {})
    publish_folder(open_resolution(tmp_path), "prepare", lost).write_text("[]")
    resolution = open_resolution(tmp_path)
    assert not resolution.find("prepare")
    with pytest.raises(
        UnknownInputsError, match="train depends on stages without outputs in the remote: prepare"
    ):
        resolution.key("train")
    listing = publish_folder(open_resolution(tmp_path), "prepare", remade)
    found = open_resolution(tmp_path)
    assert found.find("prepare")
    (out,) = found.stage("prepare").outs
    assert out.hash_info.value == listing.parent.name + listing.name


def test_outputs_whose_names_begin_alike_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dependency on the folder made is not one on made2, nor on the file made.txt."""
    monkeypatch.chdir(tmp_path)
    stages = {
        "one": {"outs": ["made/one"]},
        "two": {"params": ["two"], "outs": ["made2/two", "made.txt"]},
        "join": {"deps": ["made"], "outs": ["joined"]},
    }
    make_repo(tmp_path, stages, {"two": 1})
    resolution = open_resolution(tmp_path)
    resolution._dependencies = {**resolution._dependencies, "join": frozenset({"one", "two"})}
    for stage in ("one", "two"):
        publish(resolution, stage)
        assert resolution.find(stage)
    assert [(name, str(out)) for name, out in resolution.inputs("join")] == [("one", "made/one")]
    key = resolution.key("join")
    publish(resolution, "two", "other")
    assert resolution.key("join") == key
    publish(resolution, "one", "other")
    assert resolution.key("join") != key


class RemembersListings(LocalFileSystem):
    """A folder that answers from its first listing, as the client of S3 does, until that is invalidated."""

    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.listings: dict[str, bool] = {}

    def exists(self, path: str, **options: Any) -> bool:
        return self.listings.setdefault(path, super().exists(path, **options))

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listings.clear()


def test_an_entry_that_another_client_wrote_is_found_by_a_client_that_looked_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_repo(tmp_path, {"prepare": {"outs": ["inputs"]}}, {})
    first: Resolution = open_resolution(tmp_path)
    first.run_cache._odb.fs.fs = RemembersListings()
    assert not first.find("prepare")
    publish(open_resolution(tmp_path), "prepare")
    assert first.find("prepare")
