"""The outbox: one append-only journal of JSON lines for each run, with copies of its artifacts beside it.

    <root>/<key>.lock              guards the folder; processes of the same run may write at once
    <root>/<key>/journal.jsonl     records not yet known to be at the server, oldest first
    <root>/<key>/files/<n>/<name>  artifacts of those records
    <root>/<key>/refused.jsonl     records that the server will never take, kept for a person

Records are written here before they are sent, and struck out after: a process that dies in between loses
nothing. They are not forced to the disk, so a power cut may cost the last lines.
"""

import os
import posixpath
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from stages.tracking.entries import Artifact, Entry, RunIdentity, from_line, to_line

_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Pending:
    """A record of the journal with the line that holds it."""

    line: str
    identity: RunIdentity
    entry: Entry


def keys_with_pending_records(root: Path) -> list[str]:
    """Keys of all runs that have something left to send."""
    return sorted(journal.parent.name for journal in root.glob(f"*/{_JOURNAL}"))


class Outbox:
    """The journal of one run. Hold ``lock`` around ``read`` ... ``strike``."""

    def __init__(self, root: Path, *, key: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.key = key
        self.folder = root / key
        self.files = self.folder / "files"
        self.lock = FileLock(root / f"{key}.lock")
        self._journal = self.folder / _JOURNAL

    def append(self, identity: RunIdentity, entry: Entry) -> None:
        """Adds a record at the end of the journal. Raises OSError when the disk does not take it."""
        with self.lock:
            self.folder.mkdir(exist_ok=True)
            line = to_line(identity, entry) + "\n"
            if self._ends_in_broken_line():
                line = "\n" + line
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write(line)

    def append_file(
        self, identity: RunIdentity, artifact: str, *, write: Callable[[Path], object], is_table: bool
    ) -> None:
        """Adds a file, made by ``write`` at the path it is given, to be stored in the run as ``artifact``."""
        file = f"{uuid.uuid4().hex}/{posixpath.basename(artifact)}"
        # One hold for both steps: whoever empties the outbox removes files that the journal does not name.
        with self.lock:
            (self.files / file).parent.mkdir(parents=True)
            write(self.files / file)
            self.append(identity, Artifact(file=file, artifact=artifact, is_table=is_table))

    def read(self) -> list[Pending]:
        """All records that can be read, oldest first."""
        pending = []
        for line in self._lines():
            try:
                identity, entry = from_line(line, key=self.key)
            except ValueError:
                continue
            pending.append(Pending(line, identity, entry))
        return pending

    def strike(self, sent: Sequence[Pending], *, left: Sequence[Pending]) -> None:
        """Leaves only ``left`` in the journal, and removes the files of ``sent``."""
        if left:
            draft = self._journal.with_suffix(".new")
            draft.write_text("".join(pending.line + "\n" for pending in left), encoding="utf-8")
            draft.replace(self._journal)
        else:
            self._journal.unlink(missing_ok=True)
            shutil.rmtree(self.files, ignore_errors=True)
            self._remove_folder_if_empty()
        for pending in sent:
            if isinstance(pending.entry, Artifact):
                shutil.rmtree((self.files / pending.entry.file).parent, ignore_errors=True)

    def set_aside(self, refused: Pending) -> Path:
        """Keeps a record that the server will never take, and its file. Returns where it is written."""
        if isinstance(refused.entry, Artifact):
            kept = self.folder / "refused" / refused.entry.file
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.files / refused.entry.file, kept)
        aside = self.folder / "refused.jsonl"
        with aside.open("a", encoding="utf-8") as file:
            file.write(refused.line + "\n")
        return aside

    def _lines(self) -> list[str]:
        if not self._journal.exists():
            return []
        return [
            line for line in self._journal.read_text(encoding="utf-8", errors="replace").split("\n") if line
        ]

    def _ends_in_broken_line(self) -> bool:
        if not self._journal.exists() or self._journal.stat().st_size == 0:
            return False
        with self._journal.open("rb") as journal:
            journal.seek(-1, os.SEEK_END)
            return journal.read(1) != b"\n"

    def _remove_folder_if_empty(self) -> None:
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()
