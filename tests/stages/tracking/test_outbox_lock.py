"""The journal of an outbox is changed under its lock only, and a failing change leaves the journal as it was."""

import resource
from pathlib import Path

import pytest
from filelock import Timeout

from stages.tracking.identity import RunIdentity
from stages.tracking.outbox import Outbox
from stages.tracking.records import Artifact, Tags

RUN = RunIdentity("lzn-digits", "rf", "0123abcd")


def impatient_outbox(root: Path) -> Outbox:
    """Return an outbox that raises Timeout where it would wait for its lock."""
    outbox = Outbox(root, key=RUN.key)
    outbox.lock.timeout = 0
    return outbox


def test_a_record_waits_while_another_process_has_the_lock(tmp_path: Path) -> None:
    mine, other = impatient_outbox(tmp_path), Outbox(tmp_path, key=RUN.key)
    with other.lock, pytest.raises(Timeout):
        mine.append(RUN, Tags({"a": "b"}))
    assert mine.read() == []
    mine.append(RUN, Tags({"a": "b"}))
    assert [pending.record for pending in mine.read()] == [Tags({"a": "b"})]


def test_a_file_is_copied_and_named_in_the_journal_under_one_lock(tmp_path: Path) -> None:
    """A process that sends the outbox in between would delete the file, which the journal does not name yet."""
    mine, other = Outbox(tmp_path, key=RUN.key), impatient_outbox(tmp_path)
    refused = []

    def write(copy: Path) -> None:
        copy.write_text("content")
        with pytest.raises(Timeout), other.lock:
            pass
        refused.append(copy)

    def record_of(file: str) -> Artifact:
        with pytest.raises(Timeout), other.lock:
            pass
        return Artifact(file=file, artifact="a.txt", is_table=False)

    mine.append_file(RUN, "a.txt", write=write, record_of=record_of)
    assert [copy.read_text() for copy in refused] == ["content"]
    with other.lock:  # released afterwards
        assert len(other.read()) == 1


def test_a_journal_that_cannot_be_shortened_keeps_all_records(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    for number in range(10):
        outbox.append(RUN, Tags({"number": str(number)}))
    first, *left = outbox.read()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # less than one line: the write fails midway
    try:
        with pytest.raises(OSError, match="File too large"):
            outbox.remove([first], left=left)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert outbox.read() == [first, *left]
    outbox.remove([first], left=left)
    assert outbox.read() == left
