"""``lzn`` as a program: exit codes, clean stdout, Ctrl-C, what it writes and what it never overwrites."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.stage_folder import StageFolder
from lzn_testing.projects.trained_project import TrainedProject, write_params
from PIL import Image

from lzn.base.files import write_json
from lzn.cli.main import main
from lzn.data.prepared import read_split


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TrainedProject:
    """Both seeds of the joint run are trained by the real stage; the other runs have their initial weights."""
    folder = tmp_path_factory.mktemp("parent") / "project"
    stages = StageFolder(folder, "")
    write_params(folder)
    project = TrainedProject.make(folder)
    stages.run("train", "joint")
    for name in ("joint_no_gen", "rf", "rf_conditional", "representation"):
        project.write_untrained(name)
    numbers = {"fd_digits": {"mean": 2.5, "std": 0.25}, "recall": {"mean": 0.875}}
    write_json(folder / "outputs/tiny/metrics/measure/joint.json", numbers)
    write_json(folder / "outputs/tiny/metrics/classify/joint.json", {"accuracy": {"mean": 0.75}})
    return project


@pytest.fixture
def lzn(project: TrainedProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(project.folder)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def digits(project: TrainedProject, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three test images as files."""
    folder = tmp_path_factory.mktemp("digits")
    for index, image in enumerate(read_split(project.prepared("digits"), "test").images[:3]):
        Image.fromarray(image[0]).save(folder / f"{index}.png")
    return sorted(folder.iterdir())


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def start(project: TrainedProject, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "lzn.cli", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes that are started now hear Ctrl-C, even if the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()  # where it has not ended by itself
    return process.returncode, out, err


def test_listing_and_help_need_none_of_the_heavy_libraries(project: TrainedProject) -> None:
    code = (
        "import sys\nfrom lzn.cli.main import main\n"
        "codes = [main(['--help']), main(['sample', '--help']), main(['runs', '--size', 'tiny'])]\n"
        "assert codes == [0, 0, 0], codes\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'mlflow', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_as_a_program_it_answers_in_json_and_nothing_else_on_stdout(
    project: TrainedProject, digits: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "x.npy"
    sampled = finish(start(
        project, "sample", "joint:1", "--size", "tiny", "--num", 3, "--class", 3, "--steps", 2, "--out", out, "--json"
    ))  # fmt: skip
    assert sampled[0] == 0, sampled[2]
    answer = json.loads(sampled[1])
    assert answer == {"run": "joint", "seed": 1, "num_images": 3, "labels": [3, 3, 3], "out": str(out)}
    assert sampled[2] == ""
    assert np.load(out).shape == (3, 1, 8, 8)

    code, stdout, stderr = finish(
        start(project, "classify", "joint", digits[0], tmp_path, "--size", "tiny", "--json")
    )
    assert (code, stdout) == (1, "")
    assert json.loads(stderr)["error"]["message"] == (
        f"{tmp_path} is a folder: name the images in it, such as {tmp_path}/*.png"
    )


def test_ctrl_c_ends_it_by_that_signal_and_leaves_no_file(
    project: TrainedProject, tmp_path: Path, interruptible: None
) -> None:
    process = start(
        project,
        "sample",
        "joint",
        "--size",
        "tiny",
        "--num",
        50_000,
        "--steps",
        10_000,
        "--out",
        tmp_path / "x.png",
    )
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + 100
    while not any("libtorch" in region.path for region in watched.memory_maps()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)  # it is importing or drawing: both must end the same way
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err) == (-signal.SIGINT, "", "lzn: interrupted\n")  # which a shell shows as 130
    assert list(tmp_path.iterdir()) == []


def test_colours_are_left_out_where_nobody_sees_them(project: TrainedProject) -> None:
    code, out, _ = finish(start(project, "--help"))
    assert code == 0
    assert "\x1b" not in out
    assert "lzn runs" in out


@pytest.mark.parametrize(
    "arguments",
    [["runz"], ["sample"], ["sample", "joint", "--num", "many", "--out", "x.png"], ["runs", "--colour"]],
)
def test_wrong_usage_exits_2(arguments: list[str], lzn: Any) -> None:
    code, out, err = lzn(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("lzn: ")
    assert "--help" in err
    code, out, err = lzn(*arguments, "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["kind"] == "usage"


def test_runs_are_listed_with_seeds_abilities_and_numbers(lzn: Any) -> None:
    code, out, _ = lzn("runs", "--size", "tiny", "--json")
    assert code == 0
    by_name = {entry["run"]: entry for entry in json.loads(out)}
    assert list(by_name) == ["joint", "joint_no_gen", "representation", "rf", "rf_conditional"]
    joint = by_name["joint"]
    assert joint["seeds"] == [0, 1]
    assert joint["can"] == ["sample", "classify", "embed", "reconstruct"]
    assert joint["numbers"]["measure.fd_digits"] == {"mean": 2.5, "std": 0.25}
    assert by_name["representation"]["can"] == ["embed"]
    _, text, _ = lzn("runs", "--size", "tiny")
    assert "joint  (joint on digits; seeds 0, 1)" in text
    assert "measure.fd_digits 2.5 ± 0.25" in text
    assert "classify.accuracy 0.75" in text


def test_a_mistyped_run_is_met_with_the_names_that_are_alike(lzn: Any) -> None:
    code, _, err = lzn("sample", "jiont", "--size", "tiny", "--out", "x.png")
    assert code == 1
    assert "there is no trained run 'jiont'; did you mean joint" in err


def test_a_seed_that_is_not_there_is_met_with_those_that_are(lzn: Any) -> None:
    assert lzn("sample", "joint:7", "--size", "tiny", "--out", "x.png")[2] == (
        "lzn: run joint has no seed 7; its seeds are 0, 1\n"
    )


def test_a_run_that_cannot_is_met_with_those_that_can(lzn: Any, digits: list[Path]) -> None:
    code, _, err = lzn("classify", "rf", digits[0], "--size", "tiny")
    assert code == 1
    assert err.endswith("runs that can: joint, joint_no_gen\n")


def test_a_size_or_project_without_runs_says_what_there_is(lzn: Any, tmp_path: Path) -> None:
    assert "there is: tiny (--size)" in lzn("runs")[2]
    assert "train first" in lzn("runs", "--project", tmp_path)[2]


def test_runs_are_found_from_folders_below_the_project(
    lzn: Any, project: TrainedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.prepared("digits"))
    assert lzn("runs", "--size", "tiny")[0] == 0


def test_a_seeds_folder_can_be_named_by_its_path(lzn: Any, project: TrainedProject, tmp_path: Path) -> None:
    by_path, by_name = tmp_path / "path.npy", tmp_path / "name.npy"
    common = ["--size", "tiny", "--num", 2, "--steps", 2, "--out"]
    assert lzn("sample", project.seed_folder("joint", 1), *common, by_path)[0] == 0
    assert lzn("sample", "joint:1", *common, by_name)[0] == 0
    np.testing.assert_array_equal(np.load(by_path), np.load(by_name))


def test_what_is_there_is_overwritten_only_by_force(lzn: Any, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    out.write_bytes(b"mine")
    arguments = ["sample", "rf", "--size", "tiny", "--num", 5, "--steps", 1, "--out", out]
    code, _, err = lzn(*arguments)
    assert (code, out.read_bytes()) == (1, b"mine")
    assert "--force" in err
    assert lzn(*arguments, "--force")[0] == 0
    # 3 by 2 cells of 48 pixels with gaps of 2
    assert Image.open(out).size == (3 * 50 + 2, 2 * 50 + 2)
    assert list(tmp_path.iterdir()) == [out]


def test_drawn_files_can_be_handed_in_again(lzn: Any, tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    code, out, err = lzn(
        "sample",
        "joint",
        "--size",
        "tiny",
        "--num",
        3,
        "--class",
        1,
        "--class",
        4,
        "--steps",
        2,
        "--out",
        folder,
    )
    assert (code, err) == (0, "")
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["0_class_1.png", "1_class_4.png", "2_class_1.png"]
    code, out, _ = lzn("classify", "joint", *files, "--size", "tiny", "--json")
    answers = json.loads(out)["images"]
    assert code == 0
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    assert all(len(answer["shares"]) == 10 and 0 <= answer["label"] < 10 for answer in answers)


@pytest.mark.parametrize("out", ["x.jpg", "nowhere/x.png", "a_file"])
def test_an_output_that_cannot_be_is_refused_before_the_work(out: str, lzn: Any, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    code, _, err = lzn("sample", "rf", "--size", "tiny", "--num", 1000, "--out", tmp_path / out)
    assert code == 1
    assert str(tmp_path) in err


def test_embeddings_are_written_by_kind_or_all_together(lzn: Any, digits: list[Path], tmp_path: Path) -> None:
    one, everything = tmp_path / "one.npy", tmp_path / "all.npz"
    assert lzn("embed", "representation", *digits, "--size", "tiny", "--out", one)[0] == 0
    assert lzn("embed", "representation", *digits, "--size", "tiny", "--out", everything)[0] == 0
    found = np.load(everything)
    assert sorted(found) == ["with_head", "with_latent", "with_latent_alpha_0", "without_head"]
    np.testing.assert_array_equal(np.load(one), found["without_head"])
    code, _, err = lzn(
        "embed", "joint", *digits, "--size", "tiny", "--kind", "with_head", "--out", tmp_path / "x.npy"
    )
    assert code == 1
    assert "anchor, latent, latent_alpha_0" in err


def test_reconstructions_are_pairs_with_their_distances(lzn: Any, digits: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "pairs.png"
    code, stdout, _ = lzn(
        "reconstruct", "joint", *digits, "--size", "tiny", "--steps", 3, "--class", 2, "--out", out, "--json"
    )
    assert code == 0
    answer = json.loads(stdout)
    errors = [image["error"] for image in answer["images"]]
    assert answer["mean_error"] == pytest.approx(sum(errors) / 3, rel=1e-12)  # float64
    assert [image["label"] for image in answer["images"]] == [2, 2, 2]
    assert Image.open(out).size == (3 * 50 + 2, 2 * 50 + 2)
    options = ("--size", "tiny", "--steps", 3, "--class", 2, "--json")
    alone = json.loads(lzn("reconstruct", "joint", *digits, *options)[1])
    assert alone == {**answer, "out": None}


def test_images_of_any_size_need_to_be_fitted_explicitly(
    lzn: Any, digits: list[Path], tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    Image.open(digits[0]).resize((40, 30)).save(large)
    code, _, err = lzn("classify", "joint", large, "--size", "tiny")
    assert code == 1
    assert "has 40x30 pixels; the model takes 8x8 pixels, 8-bit grey" in err
    assert lzn("classify", "joint", large, "--size", "tiny", "--fit", "pad")[0] == 0


def test_parameter_files_are_checked(lzn: Any) -> None:
    code, out, _ = lzn("check", PROJECT / "params.yaml", "--json")
    assert code == 0
    assert json.loads(out)[0]["size"] == "digits"
    code, _, err = lzn("check", "params.yaml")
    assert code == 1
    assert "params.yaml: layout: Field required" in err


def test_every_command_teaches_with_an_example(lzn: Any) -> None:
    for command in ("runs", "sample", "classify", "embed", "reconstruct", "check", "register"):
        code, out, _ = lzn(command, "--help")
        assert code == 0
        assert f"Example: lzn {command}" in out


def test_a_damaged_configuration_is_named(lzn: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "seed_0"
    damaged.mkdir()
    (damaged / "run.json").write_text("{}")
    arguments = ["sample", damaged, "--size", "tiny", "--out", "x.png"]
    assert f"{damaged}/run.json was written by another version" in lzn(*arguments)[2]
    (damaged / "run.json").write_text("{")
    assert f"{damaged}/run.json is damaged" in lzn(*arguments)[2]
