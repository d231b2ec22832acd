"""Files are replaced and never changed in place, and the umask decides their modes."""

import ast
import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from lzn_testing import PROJECT
from PIL import Image
from torch import nn

from lzn.base.files import copy_file, move_file, save_weights, write_array, write_json, write_text
from lzn.cli.output_files import OutputFile, OutputFolder
from lzn.runs.curves import write_curve
from stages.measuring.plot_rows import write_plot_rows
from stages.reporting.figures.style import ReportFigure, panels
from stages.sampling.grids import save_grid

PIXELS = np.zeros((4, 1, 8, 8), np.uint8)


def write_figure(file: Path) -> None:
    figure, _ = panels(1)
    ReportFigure(file.stem, "", "", "", "", figure).save(file.parent)


def write_of_other(write: Callable[[Path, Path], None]) -> Callable[[Path], None]:
    """Return the function that calls ``write`` with another file as the source."""

    def from_other(file: Path) -> None:
        source = file.with_name("source")
        source.write_text("new")
        write(source, file)

    return from_other


WRITERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "json": ("x.json", lambda file: write_json(file, {"new": 1})),
    "text": ("x.md", lambda file: write_text(file, "new")),
    "array": ("x.npy", lambda file: write_array(file, np.ones(3))),
    "curve": ("x.csv", lambda file: write_curve(file, [{"step": 1, "loss": 0.5}])),
    "plot": ("x.csv", lambda file: write_plot_rows(file, ["x"], [[1.0]])),
    "weights": ("x.safetensors", lambda file: save_weights(nn.Linear(2, 2), file)),
    "grid": ("x.png", lambda file: save_grid(PIXELS, None, file)),
    "figure png": ("x.png", write_figure),
    "figure svg": ("x.svg", write_figure),
    "copy": ("x.txt", write_of_other(copy_file)),
    "move": ("x.txt", write_of_other(move_file)),
    "file of a command": (
        "x.npy",
        lambda file: OutputFile(file, True, (".npy",)).write(lambda partial: np.save(partial, PIXELS)),
    ),
    "folder of a command": (
        "x.png",
        lambda file: OutputFolder(file.parent, True).write_images(PIXELS[:1], ["x"]),
    ),
}


@pytest.mark.parametrize("link", [os.link, os.symlink])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_is_a_link_into_a_cache_is_replaced(
    kind: str, link: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    name, write = WRITERS[kind]
    cached, file = tmp_path / "cache/object", tmp_path / "outputs" / name
    for folder in (cached.parent, file.parent):
        folder.mkdir()
    cached.write_bytes(b"of the cache")
    cached.chmod(0o444)
    link(cached, file)
    write(file)
    assert cached.read_bytes() == b"of the cache"
    assert not file.is_symlink()
    assert file.read_bytes() != b"of the cache"


@pytest.fixture(params=[0o002, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_umask_decides_the_mode(kind: str, umask: int, tmp_path: Path) -> None:
    name, write = WRITERS[kind]
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_move_to_another_file_system_replaces_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def fail_between(source: Path, target: Path) -> Path:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "other file system")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", fail_between)
    cached, source, target = tmp_path / "cached", tmp_path / "here/x", tmp_path / "there/x"
    for file in (cached, source, target):
        file.parent.mkdir(exist_ok=True)
    cached.write_text("of the cache")
    target.symlink_to(cached)
    source.write_text("new")
    move_file(source, target)
    assert (cached.read_text(), target.read_text(), source.exists()) == ("of the cache", "new", False)


_DIRECT = re.compile(
    r"\.write_text\(|\.write_bytes\(|\.open\(\s*[\"'][wax]|\bopen\([^)]*[\"'][wax]b?[\"']|np\.savez?\(|savefig\("
    r"|\.save\(|save_image\(|save_file\(|torch\.save\(|shutil\.(copyfile|copy2?|move)\("
)
# Lines that write to the temporary path of `atomic_write`, to a buffer, or to a new folder that is renamed later.
_ALLOWED = re.compile(r"\bpartial\b|\(stream\b|\bbuffer\b|lambda file: |figure\.save\(folder\)")
_ALLOWED_FILES = {
    "lzn/base/files.py": "the helper itself",
    "lzn/training/checkpoints.py": "writes beside and renames, after a wait for the disk",
    "lzn/training/state.py": "calls checkpoints",
    "lzn/training/loop.py": "calls checkpoints",
    "lzn/metrics/inception.py": "a temporary copy",
    "stages/feature_extraction/resumable_features.py": "appends to unfinished work",
    "stages/prepare.py": "moves a folder to a target that it removes first",
    "stages/serving/packing.py": "a new temporary folder",
    "stages/serving/saved_model.py": "a new temporary folder",
    "stages/tracking/outbox.py": "appends to a journal of its own",
    "stages/tracking/tracker.py": "a new file of the outbox",
    "stages/tracking/model_writer.py": "MLflow's description in a temporary folder",
    "stages/training/downloads.py": "a partial download",
    "stages/training/live_curve.py": "appends to a file that is no output",
}


def test_no_code_of_the_library_and_the_stages_writes_a_file_in_place() -> None:
    found = []
    for file in sorted([*(PROJECT / "lzn").rglob("*.py"), *(PROJECT / "stages").rglob("*.py")]):
        name = file.relative_to(PROJECT).as_posix()
        if name in _ALLOWED_FILES:
            continue
        text = file.read_text()
        docstring_lines = _lines_of_docstrings(text)
        for number, line in enumerate(text.splitlines(), start=1):
            if number not in docstring_lines and _DIRECT.search(line) and not _ALLOWED.search(line):
                found.append(f"{name}:{number}: {line.strip()}")
    assert found == [], "write with lzn.base.files.atomic_write"


def test_no_code_lists_the_temporary_files_of_writers() -> None:
    found = [
        f"{file.relative_to(PROJECT)}: {pattern}"
        for folder in ("lzn", "stages")
        for file in sorted((PROJECT / folder).rglob("*.py"))
        for pattern in re.findall(r"glob\(\s*f?[\"']([^\"']*)[\"']", file.read_text())
        if re.match(r"\*.", pattern.rpartition("/")[2]) and pattern != "*.py"  # "*" alone is a whole folder
    ]
    assert found == [], "begin the pattern of a file's name with [!.]*"


def _lines_of_docstrings(text: str) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def test_saved_pictures_and_weights_can_be_read(tmp_path: Path) -> None:
    save_grid(PIXELS, None, tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").format == "PNG"
    save_weights(nn.Linear(2, 2), tmp_path / "x.safetensors")
    assert torch.is_tensor(nn.Linear(2, 2).weight)
