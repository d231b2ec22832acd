"""The stage prepare on a user's folder: what is left out, classes that end empty, and settings of later stages."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from lzn.base.sections import ParamsError, ParamsFile
from lzn.data.prepared import DataDescription, read_description
from rehearsal.file_formats import write_files, write_images
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

OUTPUT = Path("outputs/test/prepare/x")
FOLDER = {"kind": "folder", "root": "data", "image_size": 8, "test_fraction": 0.25, "seed": 0}


@pytest.fixture(autouse=True)
def _photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(Path("data"), [f"{name}/{n}.jpg" for name in ("tea", "coffee") for n in range(4)])


def run(settings: Mapping[str, Any], **sections: Any) -> DataDescription:
    """Prepare the data set ``x``."""
    content = {"size": "test", "data": {"x": settings}, **sections}
    Path("params.yaml").write_text(json.dumps(content))
    prepare(StageCall(ParamsFile.read(Path("params.yaml")), "x", OutputPaths("test"), torch.device("cpu")))
    return read_description(OUTPUT)


def error_of(settings: Mapping[str, Any], **sections: Any) -> str:
    """Return the error message of the preparation of ``x``."""
    with pytest.raises(ParamsError) as raised:
        run(settings, **sections)
    return str(raised.value)


def test_set_aside_images_have_one_line_each_whatever_their_names() -> None:
    Path("data/tea/new\nline\ttab.jpg").write_bytes(b"")
    run({**FOLDER, "test_fraction": 0.0, "on_corrupt": "set_aside"})
    (line,) = (OUTPUT / "set_aside.txt").read_text().splitlines()
    assert line.split("\t")[:2] == ["train", "data/tea/new\\nline\\ttab.jpg"]


def test_a_class_whose_images_are_all_set_aside_is_an_error() -> None:
    for file in Path("data/tea").iterdir():
        file.write_bytes(b"")
    message = error_of({**FOLDER, "test_fraction": 0.0, "on_corrupt": "set_aside"})
    assert "no training image of the class tea is usable" in message
    assert "data/tea/0.jpg" in message


def test_files_that_are_left_out_are_printed_and_listed_with_the_data_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_files(Path("data"), {"tea/5.txt": b"words", "coffee/6.txt": b"words"})
    run(FOLDER)
    table = (OUTPUT / "left_out.txt").read_text()
    assert [line.split()[:3] for line in table.splitlines()[1:]] == [
        ["1", "coffee", ".txt"],
        ["1", "tea", ".txt"],
    ]
    assert table in capsys.readouterr().out
    assert read_description(OUTPUT).class_names == ("coffee", "tea")


def test_settings_that_clash_with_the_numbers_are_an_error_before_files_are_written() -> None:
    message = error_of(
        FOLDER,
        families={"generative": {"rf": "x"}},
        features={"x": {"kind": "classifier", "training": {"batch_size": 4}}},
        sample={"x": {"num_images": 3}},
        measure={"x": {"num_neighbours": 3}},
        runs={"rf": {"data": "x", "training": {"batch_size": 100}}},
    )
    assert "the data set has 6 training and 2 test images, 2 classes; change these settings:" in message
    assert "runs.rf.training.batch_size is 100: it must be at most 6" in message
    assert "measure.x.num_neighbours is 3: it must be below 3" in message
    assert not Path(".prepare").exists()
