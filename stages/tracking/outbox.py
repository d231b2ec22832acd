"""The outbox: one append-only journal of JSON lines for each run, and copies of the run's artifacts.

    <root>/<key>.lock              lock of the folder: several processes may write to the same run
    <root>/<key>/journal.jsonl     records that may not be on the server yet, oldest first
    <root>/<key>/files/<n>/<name>  artifacts and models of these records
    <root>/<key>/refused.jsonl     records that the server refused, with its reason, kept for a person to look at

Records are written here before they are sent and removed after, so a process that dies in between loses none. They
are not flushed to the disk: a power failure may lose the last lines.
"""

import json
import os
import posixpath
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from lzn.base.files import write_text
from stages.tracking.identity import RunIdentity
from stages.tracking.records import Record, file_of, from_line, to_line

_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Pending:
    """A record in the journal, and its line."""

    line: str
    identity: RunIdentity
    record: Record


def keys_with_pending_records(root: Path) -> list[str]:
    """Return the keys of all runs that have unsent records."""
    return sorted(journal.parent.name for journal in root.glob(f"*/{_JOURNAL}"))


class Outbox:
    """The journal of one run. Hold ``lock`` from ``read`` to ``remove``."""

    def __init__(self, root: Path, *, key: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.key = key
        self.folder = root / key
        self.files = self.folder / "files"
        self.lock = FileLock(root / f"{key}.lock", mode=0o666)
        self._journal = self.folder / _JOURNAL

    def append(self, identity: RunIdentity, record: Record) -> None:
        """Append a record to the journal. Raises OSError if it cannot be written."""
        with self.lock:
            self.folder.mkdir(exist_ok=True)
            line = to_line(identity, record) + "\n"
            if self._ends_in_broken_line():
                line = "\n" + line
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write(line)

    def append_file(
        self,
        identity: RunIdentity,
        name: str,
        *,
        write: Callable[[Path], object],
        record_of: Callable[[str], Record],
    ) -> None:
        """Append a record with a file or folder: ``write`` gets the path to write it to, ``record_of`` its name."""
        file = f"{uuid.uuid4().hex}/{posixpath.basename(name)}"
        # One lock for both steps: a process that sends the outbox removes files that the journal does not name.
        with self.lock:
            (self.files / file).parent.mkdir(parents=True)
            write(self.files / file)
            self.append(identity, record_of(file))

    def read(self) -> list[Pending]:
        """Return all complete records, oldest first."""
        pending = []
        for line in self._lines():
            try:
                identity, record = from_line(line, key=self.key)
            except ValueError:
                continue
            pending.append(Pending(line, identity, record))
        return pending

    def remove(self, sent: Sequence[Pending], *, left: Sequence[Pending]) -> None:
        """Keep only ``left`` in the journal, and delete the files of ``sent``."""
        if left:
            write_text(self._journal, "".join(pending.line + "\n" for pending in left))
        else:
            self._journal.unlink(missing_ok=True)
            shutil.rmtree(self.files, ignore_errors=True)
            self._remove_folder_if_empty()
        for pending in sent:
            if file := file_of(pending.record):
                shutil.rmtree((self.files / file).parent, ignore_errors=True)

    def keep_refused(self, refused: Pending, *, reason: str) -> Path:
        """Copy a record that the server refused, and its file, out of the journal; return the file it is in."""
        if (file := file_of(refused.record)) and (self.files / file).exists():
            folder = (self.folder / "refused" / file).parent
            shutil.copytree((self.files / file).parent, folder, dirs_exist_ok=True)
        journal_of_refused = self.folder / "refused.jsonl"
        line = json.dumps({"reason": reason, **json.loads(refused.line)}, separators=(",", ":"))
        with journal_of_refused.open("a", encoding="utf-8") as journal:
            journal.write(line + "\n")
        return journal_of_refused

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
