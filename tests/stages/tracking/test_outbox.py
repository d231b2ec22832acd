"""The journal on disk, without MLflow."""

import math
import os
from pathlib import Path

import pytest

from stages.tracking.entries import (
    Artifact,
    End,
    Entry,
    Metrics,
    Params,
    RunIdentity,
    Start,
    Summary,
    Tags,
    check_artifact,
    check_names,
    from_line,
    to_line,
)
from stages.tracking.outbox import Outbox, keys_with_pending_records

RUN = RunIdentity("lzn-digits", "rf", "0123abcd")
ENTRIES: list[Entry] = [
    Start(time_ms=1, tags={"stage": "train"}, owns_status=True),
    Params({"learning_rate": "0.001"}),
    Metrics([["loss", 0.1 + 0.2, 1_800_000_000_000, 7]]),
    Summary({"fd_digits": math.inf}, time_ms=2),
    Tags({"weights": "outputs/ä"}),
    Artifact(file="x/grid.png", artifact="samples/grid.png", is_table=False),
    End(status="FINISHED", time_ms=3),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind)
def test_a_record_survives_the_way_through_its_line(entry: Entry) -> None:
    line = to_line(RUN, entry)
    assert "\n" not in line
    assert from_line(line, key=RUN.key) == (RUN, entry)


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", "{}", '{"kind":"params"}', to_line(RUN, ENTRIES[0])[:-5]]
)
def test_a_line_that_is_not_whole_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"record|JSON|Expecting|Unterminated|delimiter"):
        from_line(line, key=RUN.key)


def test_records_come_back_in_the_order_they_were_added(tmp_path: Path) -> None:
    for entry in ENTRIES:
        Outbox(tmp_path, key=RUN.key).append(RUN, entry)
    assert [pending.entry for pending in Outbox(tmp_path, key=RUN.key).read()] == ENTRIES
    assert keys_with_pending_records(tmp_path) == [RUN.key]


def test_a_line_cut_by_a_power_failure_costs_only_itself(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    outbox.append(RUN, ENTRIES[0])
    outbox.append(RUN, ENTRIES[1])
    journal = outbox.folder / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size - 4)
    outbox.append(RUN, ENTRIES[2])
    assert [pending.entry for pending in outbox.read()] == [ENTRIES[0], ENTRIES[2]]


def test_striking_some_records_leaves_the_others_and_their_files(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    for number in range(2):
        outbox.append_file(
            RUN, "grids/grid.png", write=lambda copy, text=str(number): copy.write_text(text), is_table=False
        )
    pending = outbox.read()
    outbox.strike(pending[:1], left=pending[1:])
    (left,) = outbox.read()
    assert isinstance(left.entry, Artifact)
    assert [path.read_text() for path in outbox.files.glob("*/grid.png")] == ["1"]
    assert (outbox.files / left.entry.file).read_text() == "1"


def test_an_emptied_outbox_leaves_no_folder(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    outbox.append_file(RUN, "grid.png", write=lambda copy: copy.write_text(""), is_table=False)
    outbox.strike(outbox.read(), left=[])
    assert not outbox.folder.exists()
    assert keys_with_pending_records(tmp_path) == []


@pytest.mark.parametrize(
    ("experiment", "name", "key"),
    [
        ("", "rf", "0123abcd"),
        ("../x", "rf", "0123abcd"),
        ("lzn", " ", "0123abcd"),
        ("lzn", "rf", "../../etc"),
        ("lzn", "rf", "ABCDEF01"),
    ],
)
def test_an_identity_that_could_not_name_a_folder_is_refused(experiment: str, name: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"experiment|name|key"):
        RunIdentity(experiment, name, key)


@pytest.mark.parametrize("name", ["", "a{b}", "/loss", "../loss", "a//b", "."])
def test_a_name_that_mlflow_would_refuse_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_names({name: 1.0})


@pytest.mark.parametrize("artifact", ["", "/etc/passwd", "../x.png", "a/../x.png", "a\\x.png", "a/"])
def test_an_artifact_outside_the_run_is_refused(artifact: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        check_artifact(artifact)
