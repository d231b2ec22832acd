"""The code that a training ran, from its first step on: recorded in checkpoints, ``run.json`` and MLflow."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lzn.runs.trained import CodeChange
from lzn.training.checkpoints import CheckpointNote
from stages.runtime.provenance import file_fingerprints, git_commit

TRAINING_CODE = "lzn.runs.configuration"
"""The module whose imports are the code of a training."""
MINUTE = 60.0


@dataclass(frozen=True)
class CodeVersion:
    """The code of the steps after ``step``: hashes of its files by path, and the commit that was checked out."""

    step: int
    commit: str
    files: Mapping[str, str]

    @staticmethod
    def now(*, step: int) -> "CodeVersion":
        """Return the code of this process."""
        return CodeVersion(step, git_commit(), file_fingerprints(TRAINING_CODE))

    def difference(self, other: "CodeVersion") -> tuple[str, ...]:
        """Return the paths of the files that are not the same in both."""
        paths = self.files.keys() | other.files.keys()
        return tuple(sorted(path for path in paths if self.files.get(path) != other.files.get(path)))


@dataclass(frozen=True)
class CodeHistory:
    """The versions of the code along a training, and the time that the training has taken.

    Attributes:
        versions: the first is of step 0, each other one of the step from which it was used.
        seconds_before: the time of the processes that trained before this one.
    """

    versions: tuple[CodeVersion, ...]
    seconds_before: float = 0.0
    _start: float = field(default_factory=time.monotonic)

    @staticmethod
    def new() -> "CodeHistory":
        """Return the history of a training that starts now."""
        return CodeHistory((CodeVersion.now(step=0),))

    @staticmethod
    def of_note(note: CheckpointNote) -> "CodeHistory":
        """Return the history up to a checkpoint."""
        versions = tuple(CodeVersion(**version) for version in note.content["versions"])
        return CodeHistory(versions, note.content["seconds"])

    def note(self, step: int) -> dict[str, Any]:
        """Return the note of the checkpoint of ``step``."""
        versions = [{**vars(version), "files": dict(version.files)} for version in self.versions]
        return {"versions": versions, "seconds": self.seconds}

    def continued_with(self, version: CodeVersion) -> "CodeHistory":
        """Return the history whose later steps run other code."""
        return replace(self, versions=(*self.versions, version))

    @property
    def seconds(self) -> float:
        """The time that the training has taken until now, in all processes together that trained one after another."""
        return self.seconds_before + time.monotonic() - self._start

    @property
    def first_code(self) -> str:
        """A hash of the code of the first step."""
        files = json.dumps(dict(self.versions[0].files), sort_keys=True)
        return hashlib.sha256(files.encode()).hexdigest()

    @property
    def changes(self) -> tuple[CodeChange, ...]:
        """The changes after the first step."""
        pairs = zip(self.versions, self.versions[1:], strict=False)
        return tuple(
            CodeChange(step=new.step, commit=new.commit, files=new.difference(old)) for old, new in pairs
        )


def code_tags(changes: tuple[CodeChange, ...]) -> dict[str, str]:
    """Return the MLflow tag with one line per change; none for a training whose code did not change."""
    lines = [f"step {one.step}, commit {one.commit}: {', '.join(one.files)}" for one in changes]
    return {"code_changes": "\n".join(lines)} if lines else {}
