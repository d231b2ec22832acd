"""Checkpoints on disk: written atomically, verified when read, the newest good one wins."""

import hashlib
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder of ``step_<number>.pt`` files, each with its SHA-256 in a file beside it.

    A checkpoint counts only once its digest is in place, which happens after its bytes are on disk; so a process
    that is killed while it writes leaves the previous checkpoint as the newest. The last ``keep`` are kept.

    Raises:
        ValueError: ``keep`` is below 1.
    """

    path: Path
    keep: int = 2

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"keep must be at least 1, got {self.keep}")

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write ``state`` (tensors, numbers, strings, lists and dictionaries of them) as the newest checkpoint.

        Raises:
            OSError: the disk is full or not writable; earlier checkpoints are untouched.
        """
        file = self._file(step)
        partial = file.with_suffix(".partial")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                torch.save(state, stream)
                stream.flush()
                os.fsync(stream.fileno())
            digest = _sha256(partial)
            _digest_file(file).unlink(missing_ok=True)
            partial.replace(file)
            _write_durably(_digest_file(file), digest)
        except OSError as error:
            with suppress(OSError):  # where nothing could be written there may be nothing to remove
                partial.unlink(missing_ok=True)
            raise OSError(
                error.errno,
                f"cannot write checkpoint {file.name}: {error.strerror}; make room for it and start the same command "
                f"again, it resumes from the last good checkpoint in",
                str(self.path),
            ) from error
        for old in self._files()[: -self.keep]:
            _digest_file(old).unlink(missing_ok=True)
            old.unlink(missing_ok=True)
        for left_by_a_killed_process in self.path.glob("step_*.partial"):
            left_by_a_killed_process.unlink(missing_ok=True)
        return file

    def load_newest(self, *, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """State of the newest checkpoint that is whole, or None where there is none.

        Warns (UserWarning) for each damaged one that is passed over.
        """
        for file in reversed(self._files()):
            digest = _digest_file(file)
            if digest.exists() and digest.read_bytes().strip() == _sha256(file).encode():
                state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
                return state
            warnings.warn(f"checkpoint {file} is damaged; using the one before", stacklevel=2)
        return None

    def load(self, step: int, *, device: torch.device | str = "cpu") -> dict[str, Any]:
        """State of the checkpoint of ``step``, which another process has found to be whole.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        state: dict[str, Any] = torch.load(self._file(step), map_location=device, weights_only=True)
        return state

    def _file(self, step: int) -> Path:
        return self.path / f"step_{step:09d}.pt"

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("step_*.pt"))


def _digest_file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".sha256")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_durably(file: Path, text: str) -> None:
    partial = file.with_suffix(".partial")
    with partial.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
