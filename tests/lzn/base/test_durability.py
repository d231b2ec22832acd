"""What a failing write leaves: a writer replaces the whole file or nothing, and syncs it before it renames it."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from infra.stack.layout import write_private
from lzn.base.files import copy_file, save_tensors, write_array, write_json, write_text
from lzn.runs.curves import write_curve
from lzn.training import CheckpointFolder
from stages.measuring.plot_rows import write_plot_rows

LIMIT = 100
"""Bytes after which a write fails; each new content is longer, and each old one shorter."""
OLD = b"old"


@contextmanager
def small_files() -> Iterator[None]:
    """Let the system refuse to write more than `LIMIT` bytes to a file, as on a full disk but with another number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITERS: dict[str, Callable[[Path], object]] = {
    "copy": lambda file: copy_file(Path(__file__), file),
    "text": lambda file: write_text(file, "x" * 10 * LIMIT),
    "json": lambda file: write_json(file, ["x" * 10 * LIMIT]),
    "array": lambda file: write_array(file, np.zeros(10 * LIMIT)),
    "tensors": lambda file: save_tensors({"x": torch.zeros(10 * LIMIT)}, file),
    "rows of a plot": lambda file: write_plot_rows(file, ["x"], [["x" * 10]] * LIMIT),
    "curve": lambda file: write_curve(file, [{"step": 1.0}] * LIMIT),
    "secret": lambda file: write_private(file, "x" * 10 * LIMIT),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_fails_midway_leaves_the_old_file_and_no_other(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file.npy"
    file.write_bytes(OLD)
    with pytest.raises(Exception, match=r"File too large|IoError|I/O error"), small_files():
        WRITERS[name](file)
    assert file.read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    WRITERS[name](file)  # and succeeds when there is room
    assert file.stat().st_size > LIMIT


def test_rows_that_raise_midway_leave_the_old_file(tmp_path: Path) -> None:
    def rows() -> Iterator[list[int]]:
        yield [1]
        raise ZeroDivisionError

    file = tmp_path / "plot.csv"
    file.write_bytes(OLD)
    with pytest.raises(ZeroDivisionError):
        write_plot_rows(file, ["x"], rows())
    assert file.read_bytes() == OLD


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.save(1, {"step": 1})
    with pytest.raises(OSError, match="cannot write checkpoint step_000000002") as raised, small_files():
        folder.save(2, {"x": torch.zeros(10 * LIMIT)})
    assert raised.value.errno == errno.EFBIG
    assert folder.load_newest() == {"step": 1, "note": {}}


SYNCED: dict[str, Callable[[Path], object]] = {
    "checkpoint": lambda folder: CheckpointFolder(folder).save(1, {"x": torch.zeros(LIMIT)}),
    "secret": lambda folder: write_private(folder / "x", "x"),
}


@pytest.mark.parametrize("name", SYNCED)
def test_files_that_must_survive_a_power_failure_are_synced_whole_before_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    synced: dict[int, int] = {}  # size at the last synchronisation, by inode
    renamed: list[tuple[str, int | None, int]] = []
    sync, replace = os.fsync, os.replace

    def record_sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced[found.st_ino] = found.st_size
        sync(descriptor)

    def record_replace(source: Path, target: Path) -> None:
        found = source.stat()
        renamed.append((Path(target).name, synced.get(found.st_ino), found.st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_replace)
    SYNCED[name](tmp_path)
    assert renamed
    for file, synced_size, size in renamed:
        assert synced_size == size > 0, file
