"""The stage prepare on small files in the layouts of the real data sets."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import torch
from lzn_testing.data.data_layouts import idx_of
from lzn_testing.data.image_files import encode, noise
from sklearn.model_selection import train_test_split

from lzn.base.sections import ParamsError, ParamsFile
from lzn.data import open_image
from lzn.data.prepared import DataDescription, read_description, read_split
from rehearsal.file_formats import (
    imagenet_devkit,
    python2_cifar_pickle,
    random_pixels,
    tar_of,
    write_files,
    write_images,
    write_lmdb,
)
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

OUTPUT = Path("outputs/test/prepare/x")


@pytest.fixture(autouse=True)
def _new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(settings: Mapping[str, Any]) -> DataDescription:
    """Prepare the data set ``x``."""
    Path("params.yaml").write_text(json.dumps({"size": "test", "data": {"x": settings}}))
    prepare(StageCall(ParamsFile.read(Path("params.yaml")), "x", OutputPaths("test"), torch.device("cpu")))
    return read_description(OUTPUT)


def error_of(settings: Mapping[str, Any]) -> str:
    """Return the error message of the preparation of ``x``."""
    with pytest.raises(ParamsError) as raised:
        run(settings)
    return str(raised.value)


def lay_out_cifar10() -> None:
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        batch = python2_cifar_pickle(random_pixels(number, (2, 3072)), [number, 9])
        write_files(Path("data/cifar-10-batches-py"), {name: batch})


def lay_out_fashion() -> None:
    files = {}
    for number, (split, count) in enumerate([("train", 4), ("t10k", 2)]):
        files[f"{split}-images-idx3-ubyte"] = idx_of(random_pixels(number, (count, 28, 28)))
        files[f"{split}-labels-idx1-ubyte"] = idx_of(np.arange(count, dtype=np.uint8))
    write_files(Path("data"), files)


def lay_out_afhq() -> None:
    write_images(Path("data"), ["train/cat/a.jpg", "train/cat/b.jpg", "train/dog/a.jpg", "val/cat/c.png"])


def lay_out_celeba_hq() -> None:
    write_images(Path("data/celeba-hq"), ["0.jpg", "1.jpg", "10.jpg"])


def lay_out_lsun() -> None:
    write_lmdb(
        Path("data/bedroom_train_lmdb"), {f"key{n}": encode(noise(12, 10, seed=n), "WEBP") for n in range(3)}
    )


def lay_out_imagenet() -> None:
    wnids = ["n00000001", "n00000002"]
    classes = {
        f"{wnid}.tar": tar_of({f"{wnid}_{n}.JPEG": encode(noise(30, 40, seed=n), "JPEG") for n in range(2)})
        for wnid in wnids
    }
    val = {f"ILSVRC2012_val_{n:08d}.JPEG": encode(noise(50, 40, seed=n), "JPEG") for n in (1, 2, 3)}
    archives = {
        "ILSVRC2012_img_train.tar": tar_of(classes),
        "ILSVRC2012_img_val.tar": tar_of(val),
        "ILSVRC2012_devkit_t12.tar.gz": imagenet_devkit({1: wnids[1], 2: wnids[0]}, [1, 2, 2]),
    }
    write_files(Path("data"), archives)


def lay_out_folder() -> None:
    write_images(Path("data"), [f"{name}/{n}.jpg" for name in ("tea", "coffee") for n in range(4)])


@pytest.mark.parametrize(
    ("lay_out", "settings", "counts", "shape", "num_classes"),
    [
        (lay_out_cifar10, {"kind": "cifar10"}, (10, 2), (3, 32, 32), 10),
        (lay_out_fashion, {"kind": "fashion_mnist", "image_size": 32}, (4, 2), (1, 32, 32), 10),
        (lay_out_afhq, {"kind": "afhq", "animal": "cat"}, (2, 1), (3, 256, 256), 1),
        (lay_out_celeba_hq, {"kind": "celeba_hq"}, (3, 0), (3, 256, 256), 1),
        (lay_out_lsun, {"kind": "lsun_bedroom", "storage": "png"}, (3, 0), (3, 256, 256), 1),
        (lay_out_imagenet, {"kind": "imagenet"}, (4, 3), (3, 224, 224), 2),
        (
            lay_out_folder,
            {"kind": "folder", "image_size": 24, "image_channels": 1, "test_fraction": 0.25, "seed": 0},
            (6, 2),
            (1, 24, 24),
            2,
        ),
    ],
)
def test_the_layouts_of_the_real_data_sets_are_prepared(
    lay_out: Callable[[], None],
    settings: dict[str, Any],
    counts: tuple[int, int],
    shape: tuple[int, int, int],
    num_classes: int,
) -> None:
    lay_out()
    description = run({**settings, "root": "data", "expected": {"train": counts[0], "test": counts[1]}})
    assert (description.num_train, description.num_test) == counts
    assert (description.image_shape, description.num_classes) == (shape, num_classes)
    for split, count in zip(("train", "test"), counts, strict=True):
        data = read_split(OUTPUT, split)
        assert data.images[:].shape == (count, *shape)
        assert set(data.labels) <= set(range(num_classes))
        assert count == 0 or data.images[:].std() > 10  # noise: not an empty canvas


def test_photographs_of_imagenet_are_stored_uncropped() -> None:
    lay_out_imagenet()
    run({"kind": "imagenet", "root": "data"})
    assert open_image(read_split(OUTPUT, "train").images, 0).size == (30, 40)
    assert read_split(OUTPUT, "test").labels.tolist() == [1, 0, 0]


def test_digits_have_the_stratified_split_of_scikit_learn() -> None:
    description = run({"kind": "digits", "test_fraction": 0.2, "seed": 0})
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    levels = np.rint(pixels * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    train, test = train_test_split(np.arange(1797), test_size=0.2, random_state=0, stratify=labels)
    for split, chosen in (("train", train), ("test", test)):
        data = read_split(OUTPUT, split)
        np.testing.assert_array_equal(data.images[:], levels[chosen])
        np.testing.assert_array_equal(data.labels, labels[chosen])
    assert (description.name, description.num_train, description.num_test) == ("x", 1437, 360)


FOLDER = {"kind": "folder", "root": "data", "image_size": 8, "test_fraction": 0.25, "seed": 0}


def test_the_unfinished_work_is_deleted_at_the_end() -> None:
    lay_out_folder()
    run(FOLDER)
    # The fingerprint of the source stays: it shows later whether the files have changed.
    assert sorted(Path(".prepare").rglob("*")) == [Path(".prepare/test"), Path(".prepare/test/x.source.json")]


def test_a_second_preparation_replaces_the_first() -> None:
    lay_out_folder()
    first = run(FOLDER)
    (OUTPUT / "left_over.npy").write_bytes(b"")
    write_images(Path("data"), [f"tea/{n}.png" for n in range(4)])
    second = run(FOLDER)
    assert (first.num_train, second.num_train) == (6, 9)
    assert not (OUTPUT / "left_over.npy").exists()


def test_the_error_of_a_missing_data_set_says_what_to_download_and_where_to_put_it() -> None:
    message = error_of({"kind": "cifar10", "root": "data/cifar10"})
    assert message.startswith("params.yaml: data.x: CIFAR10 was not found in ")
    assert "Download: " in message
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message
    assert "put it into" in message


def test_the_error_names_a_damaged_archive() -> None:
    write_files(Path("data"), {"cifar-10-python.tar.gz": b"not an archive"})
    assert "cifar-10-python.tar.gz is damaged" in error_of({"kind": "cifar10", "root": "data"})


def test_a_wrong_number_of_images_is_an_error_before_files_are_written() -> None:
    lay_out_folder()
    message = error_of({**FOLDER, "expected": {"train": 6, "test": 3}})
    assert "there are 2 test images instead of the expected 3" in message
    assert not Path(".prepare").exists()


def test_a_wrong_hash_is_an_error_and_finished_work_is_used_after_its_correction() -> None:
    lay_out_folder()
    expected = run(FOLDER).sha256
    message = error_of({**FOLDER, "sha256": 64 * "0"})
    assert f"the prepared data set has sha256 {expected}, not {64 * '0'}" in message
    (record,) = Path(".prepare").glob("*/*/data/train_00000.npy")
    written = record.stat().st_mtime_ns
    assert run({**FOLDER, "sha256": expected}).sha256 == expected
    assert (OUTPUT / "train_00000.npy").stat().st_mtime_ns == written


def test_a_corrupt_image_is_an_error_that_says_what_to_do() -> None:
    lay_out_folder()
    Path("data/tea/7.jpg").write_bytes(b"<html>Not Found</html>")
    message = error_of({**FOLDER, "test_fraction": 0.0})
    assert "data.x: train image 8, data/tea/7.jpg: not an image of a supported format" in message
    assert "set on_corrupt to set_aside" in message
    assert not OUTPUT.exists()


def test_corrupt_images_are_listed_with_split_name_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    lay_out_folder()
    Path("data/tea/7.jpg").write_bytes(b"<html>Not Found</html>")
    Path("data/tea/8.jpg").write_bytes(b"")
    description = run({**FOLDER, "test_fraction": 0.0, "on_corrupt": "set_aside"})
    lines = [line.split("\t") for line in (OUTPUT / "set_aside.txt").read_text().splitlines()]
    assert [line[:2] for line in lines] == [["train", "data/tea/7.jpg"], ["train", "data/tea/8.jpg"]]
    assert all(line[2].startswith("not an image of a supported format") for line in lines)
    assert description.num_train == 8
    assert "2 unusable images are left out; set_aside.txt lists them" in capsys.readouterr().out


def test_a_data_set_without_usable_training_images_is_an_error() -> None:
    write_files(Path("data"), {"a.jpg": b"", "b.jpg": b""})
    message = error_of({**FOLDER, "test_fraction": 0.0, "on_corrupt": "set_aside"})
    assert "no training image is usable; the first is data/a.jpg: not an image" in message


def test_images_of_another_size_are_an_error_with_fit_exact() -> None:
    lay_out_folder()
    assert "has 12x10 pixels, not 8x8" in error_of({**FOLDER, "fit": "exact"})


def test_the_folder_of_unfinished_work_with_other_settings_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lay_out_folder()
    error_of({**FOLDER, "sha256": 64 * "0"})
    (left,) = Path(".prepare/test").iterdir()
    run({**FOLDER, "image_size": 9})
    assert f"which you may delete: {left}" in capsys.readouterr().out


def test_a_temporary_copy_of_the_project_uses_its_data_and_its_unfinished_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out_folder()
    error_of({**FOLDER, "sha256": 64 * "0"})
    (left,) = Path(".prepare/test").iterdir()
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    run(FOLDER)
    assert not (tmp_path / left).exists()
    assert (tmp_path / "copy" / OUTPUT).is_dir()


def test_a_data_set_that_does_not_fit_on_the_disk_is_refused_before_an_image_is_written() -> None:
    lay_out_celeba_hq()
    message = error_of({"kind": "celeba_hq", "root": "data", "image_size": 2**22})
    # 3 images of 3 channels, a byte for each pixel
    assert f"needs about {9 * 2**44 / 1e9:,.1f} GB more in .prepare/test, where " in message
    assert not list(Path(".prepare").rglob("*.npy"))
