"""Each command of ``lzn``, run in this process: results, written files, and messages about wrong requests."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.trained_project import TrainedProject
from PIL import Image

from lzn.cli.main import main


@pytest.fixture
def lzn(project: TrainedProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command and returns exit code, stdout and stderr."""
    monkeypatch.chdir(project.folder)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


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
    assert list(joint["models"]) == ["0", "1"]  # the seeds that the real stage trained
    assert all(model.startswith("m-") for model in joint["models"].values())
    assert by_name["rf"]["models"] == {}
    assert by_name["representation"]["can"] == ["embed"]
    _, text, _ = lzn("runs", "--size", "tiny")
    assert "joint  (joint on digits; seeds 0, 1)" in text
    assert "measure.fd_digits 2.5 ± 0.2" in text
    assert "classify.accuracy 0.75" in text


def test_an_unknown_run_is_refused_with_similar_names(lzn: Any) -> None:
    code, _, err = lzn("sample", "jiont", "--size", "tiny", "--out", "x.png")
    assert code == 1
    assert "there is no trained run 'jiont'; similar names: joint" in err


def test_an_unknown_seed_is_refused_with_the_trained_seeds(lzn: Any) -> None:
    assert lzn("sample", "joint:7", "--size", "tiny", "--out", "x.png")[2] == (
        "lzn: run joint has no seed 7; its seeds are 0, 1\n"
    )


def test_a_run_without_the_ability_is_refused_with_the_runs_that_have_it(
    lzn: Any, digits: list[Path]
) -> None:
    code, _, err = lzn("classify", "rf", digits[0], "--size", "tiny")
    assert code == 1
    assert err.endswith("runs that can: joint, joint_no_gen\n")


def test_a_size_or_project_without_runs_is_refused_with_advice(lzn: Any, tmp_path: Path) -> None:
    assert "choose --size from tiny" in lzn("runs")[2]
    assert "train first" in lzn("runs", "--project", tmp_path)[2]


def test_runs_are_found_from_folders_below_the_project(
    lzn: Any, project: TrainedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.prepared_folder("digits"))
    assert lzn("runs", "--size", "tiny")[0] == 0


def test_a_seeds_folder_can_be_named_by_its_path(lzn: Any, project: TrainedProject, tmp_path: Path) -> None:
    by_path, by_name = tmp_path / "path.npy", tmp_path / "name.npy"
    common = ["--size", "tiny", "--num", 2, "--steps", 2, "--out"]
    assert lzn("sample", project.seed_folder("joint", 1), *common, by_path)[0] == 0
    assert lzn("sample", "joint:1", *common, by_name)[0] == 0
    np.testing.assert_array_equal(np.load(by_path), np.load(by_name))


def test_existing_files_are_overwritten_only_with_force(lzn: Any, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    out.write_bytes(b"mine")
    arguments = ["sample", "rf", "--size", "tiny", "--num", 5, "--steps", 1, "--out", out]
    code, _, err = lzn(*arguments)
    assert (code, out.read_bytes()) == (1, b"mine")
    assert "--force" in err
    assert lzn(*arguments, "--force")[0] == 0
    # 3 columns and 2 rows of 48 pixels, with gaps of 2
    assert Image.open(out).size == (3 * 50 + 2, 2 * 50 + 2)
    assert list(tmp_path.iterdir()) == [out]


def test_sampled_files_can_be_classified(lzn: Any, tmp_path: Path) -> None:
    folder = tmp_path / "sampled"
    options = ("--size", "tiny", "--num", 3, "--class", 1, "--class", 4, "--steps", 2)
    code, out, err = lzn("sample", "joint", *options, "--out", folder)
    assert (code, err) == (0, "")
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["0_class_1.png", "1_class_4.png", "2_class_1.png"]
    code, out, _ = lzn("classify", "joint", *files, "--size", "tiny", "--json")
    answers = json.loads(out)["images"]
    assert code == 0
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    assert all(len(answer["shares"]) == 10 and 0 <= answer["label"] < 10 for answer in answers)


@pytest.mark.parametrize("out", ["x.jpg", "nowhere/x.png", "a_file"])
def test_an_impossible_output_is_refused_before_sampling(out: str, lzn: Any, tmp_path: Path) -> None:
    (tmp_path / "a_file").touch()
    code, _, err = lzn("sample", "rf", "--size", "tiny", "--num", 1000, "--out", tmp_path / out)
    assert code == 1
    assert str(tmp_path) in err


def test_embeddings_are_written_as_one_kind_or_all_kinds(
    lzn: Any, digits: list[Path], tmp_path: Path
) -> None:
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


def test_reconstructions_are_written_below_their_originals_with_their_distances(
    lzn: Any, digits: list[Path], tmp_path: Path
) -> None:
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


def test_images_of_another_size_are_refused_without_fit(lzn: Any, digits: list[Path], tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.open(digits[0]).resize((40, 30)).save(large)
    code, _, err = lzn("classify", "joint", large, "--size", "tiny")
    assert code == 1
    assert "has 40x30 pixels; the model takes 8x8 pixels, 8-bit grey" in err
    assert lzn("classify", "joint", large, "--size", "tiny", "--fit", "pad")[0] == 0


def test_check_reports_sizes_and_mistakes_of_parameter_files(lzn: Any) -> None:
    code, out, _ = lzn("check", PROJECT / "params.yaml", "--json")
    assert code == 0
    assert json.loads(out)[0]["size"] == "digits"
    code, _, err = lzn("check", "params.yaml")
    assert code == 1
    assert "params.yaml: runs.joint.network is missing: name a block of networks" in err


def test_the_help_of_every_command_has_an_example(lzn: Any) -> None:
    for command in ("runs", "sample", "classify", "embed", "reconstruct", "check", "register"):
        code, out, _ = lzn(command, "--help")
        assert code == 0
        assert f"Example: lzn {command}" in out


def test_the_message_about_a_damaged_configuration_names_its_file(lzn: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "seed_0"
    damaged.mkdir()
    (damaged / "run.json").write_text("{}")
    arguments = ["sample", damaged, "--size", "tiny", "--out", "x.png"]
    assert f"{damaged}/run.json was written by another version" in lzn(*arguments)[2]
    (damaged / "run.json").write_text("{")
    assert f"{damaged}/run.json is damaged" in lzn(*arguments)[2]


CLOTHES = ("T-shirt/top", "9", "Coat", "coat", "Bag", "a", "b", "c", "d", "Ankle boot")


@pytest.fixture
def clothes(project: TrainedProject) -> Iterator[str]:
    """A joint run whose classes have names; one is the number of another class."""
    folder = project.write_untrained("joint", class_names=CLOTHES, copy="clothes")
    yield "clothes"
    shutil.rmtree(folder.parent)


def test_classes_are_given_by_name_or_index_and_shown_by_name(clothes: str, lzn: Any, tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    chosen = ("--class", "Ankle boot", "--class", "0", "--class", "9", "--class", "Coat")
    options = ("--size", "tiny", "--num", 4, *chosen, "--steps", 1, "--json")
    code, out, _ = lzn("sample", clothes, *options, "--out", folder)
    answer = json.loads(out)
    assert code == 0
    assert answer["labels"] == [9, 0, 1, 2]  # the class 9 is the one with this name
    assert answer["classes"] == ["Ankle boot", "T-shirt/top", "9", "Coat"]
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [
        "0_class_Ankle_boot.png", "1_class_T-shirt_top.png", "2_class_9.png", "3_class_2_Coat.png"
    ]  # fmt: skip
    found = json.loads(lzn("classify", clothes, *files, "--size", "tiny", "--json")[1])
    assert found["classes"] == list(CLOTHES)
    assert all(image["class"] == CLOTHES[image["label"]] for image in found["images"])
    text = lzn("classify", clothes, *files, "--size", "tiny")[1]
    assert f"{files[0]}: {found['images'][0]['class']} (" in text
    options = ("--size", "tiny", "--steps", 1, "--class", "bag", "--json")
    pairs = json.loads(lzn("reconstruct", clothes, files[0], *options)[1])
    assert (pairs["images"][0]["label"], pairs["images"][0]["class"]) == (4, "Bag")


def test_an_ambiguous_or_unknown_class_is_refused(clothes: str, lzn: Any, tmp_path: Path) -> None:
    common = ("--size", "tiny", "--num", 1, "--out", tmp_path / "x.png", "--class")
    assert "class 'COAT' is ambiguous" in lzn("sample", clothes, *common, "COAT")[2]
    assert "has the classes 0 T-shirt/top, 1 9, 2 Coat" in lzn("sample", clothes, *common, "Hat")[2]
    assert not (tmp_path / "x.png").exists()


def test_the_list_of_runs_has_the_classes(clothes: str, lzn: Any) -> None:
    _, out, _ = lzn("runs", "--size", "tiny", "--json")
    by_name = {entry["run"]: entry for entry in json.loads(out)}
    assert by_name[clothes]["classes"] == list(CLOTHES)
    assert by_name["joint"]["classes"] == [str(digit) for digit in range(10)]  # the real stages
    assert "    has the classes 0 T-shirt/top, 1 9" in lzn("runs", "--size", "tiny")[1]


def test_a_name_of_a_file_that_is_not_utf_8_does_not_lose_the_answer(
    lzn: Any, digits: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / os.fsdecode(b"digit_\xff.png")
    shutil.copyfile(digits[0], file)
    assert lzn("classify", "joint", file, "--size", "tiny")[:1] == (0,)
    answer = json.loads(lzn("classify", "joint", file, "--size", "tiny", "--json")[1])
    assert answer["images"][0]["file"] == str(file)
