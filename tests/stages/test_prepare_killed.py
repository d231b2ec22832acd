"""A killed preparation by several processes is continued, and has the same results as one without a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from lzn_testing import PROJECT
from lzn_testing.data.image_files import encode, noise

pytestmark = pytest.mark.slow  # kills and restarts real processes, which import torch each time

NUM_IMAGES = 400
IMAGES_PER_SHARD = 10  # a shard has at most 128 MiB of uncompressed images, also if originals are stored
SETTINGS = {
    "kind": "folder",
    "root": "photos",
    "image_size": 2048,
    "storage": "original",
    "test_fraction": 0.1,
    "seed": 0,
    "on_corrupt": "set_aside",
}


class Project:
    """A folder with photographs, one of which is damaged, in which the stage prepare runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "photos").mkdir(parents=True)
        params = {"size": "tiny", "hardware": {"num_threads": 1}, "data": {"photos": SETTINGS}}
        (folder / "params.yaml").write_text(json.dumps(params))
        photos = [encode(noise(600, 400 + seed, seed=seed), "JPEG") for seed in range(8)]
        for number in range(NUM_IMAGES):
            data = photos[number % len(photos)]
            (folder / f"photos/{number:03d}.jpg").write_bytes(data[:5000] if number == 17 else data)

    def start(self, *, alone: bool = False) -> "subprocess.Popen[str]":
        """Start the stage; with ``alone`` on one CPU, where it uses no other processes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "stages.prepare", "photos"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if alone:  # before it has imported torch and counts its CPUs
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        return process

    def finished_shards(self) -> dict[str, int]:
        """Return the shards of the unfinished preparation that have a record, with the times when they were written."""
        folders = self.folder.glob(".prepare/tiny/photos-*")
        return {
            record.stem: (folder / f"data/{record.stem}.bin").stat().st_mtime_ns
            for folder in folders
            for record in folder.glob("records/[!.]*.json")  # not a partial one
        }

    def outputs(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.output.glob("*")}

    @property
    def output(self) -> Path:
        return self.folder / "outputs/tiny/prepare/photos"


@dataclass(frozen=True)
class Killed:
    """The files and processes after a preparation was killed."""

    shards: dict[str, int]
    outputs: dict[str, bytes]
    survivors: list[psutil.Process]


def kill(project: Project) -> Killed:
    process = project.start()
    deadline = time.monotonic() + 300
    while len(project.finished_shards()) < 4:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no shards appeared"
        time.sleep(0.002)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, survivors = psutil.wait_procs(children, timeout=30)
    for survivor in survivors:
        survivor.kill()
    return Killed(project.finished_shards(), project.outputs(), survivors)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A preparation by one process without interruption."""
    project = Project(tmp_path_factory.mktemp("reference"))
    process = project.start(alone=True)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "photos: 359 training and 40 test images" in stdout
    return project


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same photographs in another folder."""
    return Project(tmp_path_factory.mktemp("disturbed"))


@pytest.fixture(scope="module")
def killed(disturbed: Project) -> Killed:
    return kill(disturbed)


@pytest.fixture(scope="module")
def finished(disturbed: Project, killed: Killed) -> Project:
    """The killed preparation, continued after a byte of a finished shard was changed."""
    (damaged,) = disturbed.folder.glob(f".prepare/*/*/data/{min(killed.shards)}.bin")
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    process = disturbed.start()
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return disturbed


def test_a_killed_preparation_leaves_finished_shards_and_no_output(killed: Killed) -> None:
    assert 4 <= len(killed.shards) < NUM_IMAGES / IMAGES_PER_SHARD
    assert killed.outputs == {}


def test_all_processes_end_with_the_one_that_was_killed(killed: Killed) -> None:
    assert killed.survivors == []


def test_the_next_preparation_keeps_the_finished_shards_but_not_a_damaged_one(
    killed: Killed, finished: Project
) -> None:
    now = {file.stem: file.stat().st_mtime_ns for file in finished.output.glob("*.bin")}
    damaged = min(killed.shards)
    assert {name: now[name] for name in killed.shards if name != damaged} == {
        name: written for name, written in killed.shards.items() if name != damaged
    }
    assert now[damaged] > killed.shards[damaged]


def test_all_files_are_those_of_the_preparation_by_one_process(finished: Project, reference: Project) -> None:
    assert finished.outputs() == reference.outputs()
    assert [left.name for left in finished.folder.glob(".prepare/*/*")] == ["photos.source.json"]


def test_the_unusable_image_is_listed_once(finished: Project) -> None:
    (line,) = (finished.output / "set_aside.txt").read_text().splitlines()
    assert "photos/017.jpg\tcannot be decoded" in line
