"""Checkpoints on disk: written atomically and verified when they are read; the newest good one is used."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from lzn.base.files import file_sha256

NOTE = "note"
"""Key of the note in a checkpoint."""


@dataclass(frozen=True)
class CheckpointNote:
    """The step of a checkpoint, and its note: what its writer recorded beside the state of the training."""

    step: int
    content: Mapping[str, Any]


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder of files ``step_<number>.pt``, each with its SHA-256 in a file beside it.

    A checkpoint without its SHA-256 is not used. The SHA-256 is written when the checkpoint is on disk, so if a process
    is killed while it writes, the previous checkpoint is used. Checkpoints of later steps than the one that is saved
    belong to a longer training and stay.

    Attributes:
        path: the folder.
        keep: how many checkpoints up to the saved one are kept.
        make_note: called with the step of each checkpoint that is saved; returns its note, of plain values.

    Raises:
        ValueError: ``keep`` is below 1.
    """

    path: Path
    keep: int = 2
    make_note: Callable[[int], Mapping[str, Any]] = field(default=lambda step: {})

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"keep must be at least 1, got {self.keep}")

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write ``state`` (tensors, numbers, strings, lists and dictionaries of these) as the newest checkpoint.

        Raises:
            OSError: the disk is full or not writable; earlier checkpoints do not change.
        """
        file = self._file(step)
        partial = file.with_suffix(".partial")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            content = {**state, NOTE: dict(self.make_note(step))}
            _write_synced(partial, lambda stream: torch.save(content, stream))
            digest = file_sha256(partial)
            _digest_file(file).unlink(missing_ok=True)
            partial.replace(file)
            _write_synced(partial, lambda stream: stream.write(digest.encode()))
            partial.replace(_digest_file(file))
        except OSError as error:
            with suppress(OSError):  # the file may not exist, or the folder may not be writable
                partial.unlink(missing_ok=True)
            raise OSError(
                error.errno,
                f"cannot write checkpoint {file.name}: {error.strerror}; free disk space and start the same command "
                "again, which resumes from the last good checkpoint in",
                str(self.path),
            ) from error
        for old in self._files(up_to=step)[: -self.keep]:
            _digest_file(old).unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        for left_over in self.path.glob("step_*.partial"):
            left_over.unlink(missing_ok=True)
        return file

    def load_newest(
        self, *, device: torch.device | str = "cpu", up_to: int | None = None
    ) -> dict[str, Any] | None:
        """Load the newest good checkpoint, of step ``up_to`` or before; None if there is none.

        Issues a UserWarning for each newer, damaged checkpoint.
        """
        for file, is_good in self._newest_first(up_to):
            if is_good:
                state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
                return state
            warnings.warn(f"checkpoint {file} is damaged; the one before is used", stacklevel=2)
        return None

    def newest_note(self, *, up_to: int | None = None) -> CheckpointNote | None:
        """Read only the step and the note of the checkpoint that `load_newest` loads; None if there is none."""
        for file, is_good in self._newest_first(up_to):
            if is_good:
                content = torch.load(file, mmap=True, map_location="cpu", weights_only=True)
                return CheckpointNote(_step_of(file), content.get(NOTE, {}))
        return None

    def load(self, step: int, *, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Load the checkpoint of ``step``, which another process has verified.

        Raises:
            OSError: the file does not exist or cannot be read.
        """
        state: dict[str, Any] = torch.load(self._file(step), map_location=device, weights_only=True)
        return state

    def _file(self, step: int) -> Path:
        return self.path / f"step_{step:09d}.pt"

    def _files(self, *, up_to: int | None = None) -> list[Path]:
        files = sorted(self.path.glob("step_*.pt"))
        return [file for file in files if up_to is None or _step_of(file) <= up_to]

    def _newest_first(self, up_to: int | None) -> Iterator[tuple[Path, bool]]:
        """Yield the files, and whether each has its SHA-256."""
        for file in reversed(self._files(up_to=up_to)):
            digest = _digest_file(file)
            yield file, digest.exists() and digest.read_bytes().strip() == file_sha256(file).encode()


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.stem.removeprefix("step_"))


def _digest_file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".sha256")


def _write_synced(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file and wait until it is on disk."""
    with file.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())
