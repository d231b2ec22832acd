"""The journal on disk, without MLflow."""

import math
import os
from pathlib import Path

import pytest

from stages.tracking.identity import RunIdentity, check_artifact, check_names
from stages.tracking.outbox import Outbox, keys_with_pending_records
from stages.tracking.records import (
    Artifact,
    Datasets,
    End,
    ExperimentTags,
    Metrics,
    Model,
    Params,
    Record,
    Start,
    Summary,
    Tags,
    UsedModels,
    from_line,
    to_line,
)

RUN = RunIdentity("lzn-digits", "rf", "0123abcd")
RECORDS: list[Record] = [
    Start(time_ms=1, tags={"stage": "train"}, owns_status=True),
    Params({"learning_rate": "0.001"}),
    Metrics([["loss", 0.1 + 0.2, 1_800_000_000_000, 7]]),
    Summary({"fd_digits": math.inf}, time_ms=2),
    Tags({"weights": "outputs/ä"}),
    Artifact(file="x/grid.png", artifact="samples/grid.png", is_table=False),
    Datasets(
        [{"name": "digits train", "digest": "0123", "source": "a", "profile": "{}", "context": "train"}]
    ),
    Model("0123abcd", "rf-seed-0", step=7, file="", tags={"weights.path": "w"}, params={"lr": "1"}),
    UsedModels(["0123abcd"]),
    ExperimentTags({"mlflow.note.content": "text"}),
    End(status="FINISHED", time_ms=3),
]


def grid(file: str) -> Artifact:
    return Artifact(file=file, artifact="grids/grid.png", is_table=False)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_a_record_is_the_same_after_writing_and_reading_its_line(record: Record) -> None:
    line = to_line(RUN, record)
    assert "\n" not in line
    assert from_line(line, key=RUN.key) == (RUN, record)


def test_the_parent_of_a_run_is_the_same_after_writing_and_reading_a_line() -> None:
    child = RunIdentity("lzn-digits", "rf, seed 0", "4567abcd", parent=RUN)
    assert from_line(to_line(child, RECORDS[0]), key=child.key) == (child, RECORDS[0])


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "3", "{}", '{"kind":"params"}', to_line(RUN, RECORDS[0])[:-5]]
)
def test_an_incomplete_line_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"record|JSON|Expecting|Unterminated|delimiter"):
        from_line(line, key=RUN.key)


def test_records_are_read_in_the_order_they_were_appended(tmp_path: Path) -> None:
    for record in RECORDS:
        Outbox(tmp_path, key=RUN.key).append(RUN, record)
    assert [pending.record for pending in Outbox(tmp_path, key=RUN.key).read()] == RECORDS
    assert keys_with_pending_records(tmp_path) == [RUN.key]


def test_a_line_cut_by_a_power_failure_loses_no_other_line(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    outbox.append(RUN, RECORDS[0])
    outbox.append(RUN, RECORDS[1])
    journal = outbox.folder / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size - 4)
    outbox.append(RUN, RECORDS[2])
    assert [pending.record for pending in outbox.read()] == [RECORDS[0], RECORDS[2]]


def test_removing_some_records_keeps_the_others_and_their_files(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    for number in range(2):
        outbox.append_file(
            RUN, "grids/grid.png", write=lambda copy, text=str(number): copy.write_text(text), record_of=grid
        )
    pending = outbox.read()
    outbox.remove(pending[:1], left=pending[1:])
    (left,) = outbox.read()
    assert isinstance(left.record, Artifact)
    assert [path.read_text() for path in outbox.files.glob("*/grid.png")] == ["1"]
    assert (outbox.files / left.record.file).read_text() == "1"


def test_an_empty_outbox_has_no_folder(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, key=RUN.key)
    outbox.append_file(RUN, "grid.png", write=lambda copy: copy.write_text(""), record_of=grid)
    outbox.remove(outbox.read(), left=[])
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
def test_an_identity_that_cannot_name_a_folder_is_an_error(experiment: str, name: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"experiment|name|key"):
        RunIdentity(experiment, name, key)


@pytest.mark.parametrize("name", ["", "a{b}", "/loss", "../loss", "a//b", "."])
def test_a_name_that_mlflow_refuses_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_names({name: 1.0})


@pytest.mark.parametrize("artifact", ["", "/etc/passwd", "../x.png", "a/../x.png", "a\\x.png", "a/"])
def test_an_artifact_outside_the_run_is_an_error(artifact: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        check_artifact(artifact)
