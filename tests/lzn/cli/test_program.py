"""``lzn`` as a program of its own: start, clean stdout, exit codes, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.trained_project import TrainedProject


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def start(project: TrainedProject, *arguments: object) -> "subprocess.Popen[str]":
    return start_python(project, "-m", "lzn.cli", *map(str, arguments))


def start_python(project: TrainedProject, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=project.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Child processes receive Ctrl-C, even if the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()  # after a timeout
    return process.returncode, out, err


def test_listing_and_help_import_no_heavy_library(project: TrainedProject) -> None:
    code = (
        "import sys\nfrom lzn.cli.main import main\n"
        "codes = [main(['--help']), main(['sample', '--help']), main(['runs', '--size', 'tiny'])]\n"
        "assert codes == [0, 0, 0], codes\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'mlflow', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    exit_code, _, err = finish(start_python(project, "-c", code))
    assert exit_code == 0, err


def test_without_the_other_packages_lzn_has_its_own_commands(project: TrainedProject) -> None:
    code = (
        "import sys\n"
        "for package in ('stages', 'pipelines', 'mlflow', 'dvc', 'prefect'):\n"
        "    sys.modules[package] = None\n"  # importing it raises ImportError
        "from lzn.cli.main import main\n"
        "assert main(['--help']) == 0\n"
        "assert main(['embed', 'joint', sys.argv[1], '--size', 'tiny', '--out', sys.argv[2]]) == 0\n"
        "assert main(['check', 'params.yaml', '--json']) == main(['register', '--alias', 'x', 'joint']) == 1\n"
    )
    image, out = project.write_test_images(project.folder, count=1)[0], project.folder / "x.npy"
    exit_code, stdout, err = finish(start_python(project, "-c", code, str(image), str(out)))
    assert exit_code == 0, err
    assert "reconstruct" in stdout
    assert "A command of the pipeline" in stdout
    *_, as_json, as_text = err.splitlines()
    assert json.loads(as_json)["error"]["message"].startswith("lzn check is a command of the pipeline")
    assert as_text.startswith("lzn: lzn register is a command of the pipeline")
    assert np.load(out).shape == (1, 8)


def test_help_lists_the_commands_of_the_other_packages(project: TrainedProject) -> None:
    code, out, err = finish(start(project, "--help"))
    assert code == 0, err
    for command in ("runs", "sample", "classify", "embed", "reconstruct", "check", "register"):
        assert f" {command} " in out


def test_help_has_no_colours_when_stdout_is_no_terminal(project: TrainedProject) -> None:
    code, out, _ = finish(start(project, "--help"))
    assert code == 0
    assert "\x1b" not in out
    assert "lzn runs" in out


def test_stdout_holds_only_the_json_result(
    project: TrainedProject, digits: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "x.npy"
    sampled = finish(start(
        project, "sample", "joint:1", "--size", "tiny", "--num", 3, "--class", 3, "--steps", 2, "--out", out, "--json"
    ))  # fmt: skip
    assert sampled[0] == 0, sampled[2]
    answer = json.loads(sampled[1])
    assert answer == {
        "run": "joint", "seed": 1, "num_images": 3, "labels": [3, 3, 3], "classes": ["3", "3", "3"], "out": str(out)
    }  # fmt: skip
    assert sampled[2] == ""
    assert np.load(out).shape == (3, 1, 8, 8)

    code, stdout, stderr = finish(
        start(project, "classify", "joint", digits[0], tmp_path, "--size", "tiny", "--json")
    )
    assert (code, stdout) == (1, "")
    assert json.loads(stderr)["error"]["message"] == (
        f"{tmp_path} is a folder: name the images in it, such as {tmp_path}/*.png"
    )


def test_ctrl_c_ends_the_process_by_that_signal_and_leaves_no_file(
    project: TrainedProject, tmp_path: Path, interruptible: None
) -> None:
    out = tmp_path / "x.png"
    # The largest request that is not refused takes many minutes.
    process = start(
        project, "sample", "joint", "--size", "tiny", "--num", 2_000, "--steps", 10_000, "--out", out
    )
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + 100
    while not any("libtorch" in region.path for region in watched.memory_maps()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)  # the process is importing or sampling; the result must be the same
    process.send_signal(signal.SIGINT)
    code, stdout, err = finish(process)
    assert (code, stdout, err) == (-signal.SIGINT, "", "lzn: interrupted\n")  # which a shell shows as 130
    assert list(tmp_path.iterdir()) == []
