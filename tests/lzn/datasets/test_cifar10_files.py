"""CIFAR10's files: Python 2 pickles and the binary version, in archives and folders; harmful pickles."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.data_layouts import contents
from numpy.typing import NDArray

from lzn.datasets import MissingDataError, RawDataSet, open_cifar10
from lzn.datasets.pickled_arrays import load_pickled_arrays
from rehearsal.file_formats import python2_cifar_pickle, random_pixels, tar_of, write_files

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
SIZE = 4  # images per batch; the real batches have 10 000


def batch_data(number: int) -> NDArray[np.uint8]:
    return random_pixels(number, (SIZE, 3072))


def batch_labels(number: int) -> list[int]:
    return [(number + index) % 10 for index in range(SIZE)]


def python_files() -> dict[str, bytes]:
    return {name: python2_cifar_pickle(batch_data(n), batch_labels(n)) for n, name in enumerate(BATCHES)}


def binary_files() -> dict[str, bytes]:
    return {
        f"{name}.bin": b"".join(
            bytes([label]) + row.tobytes() for label, row in zip(batch_labels(n), batch_data(n), strict=True)
        )
        for n, name in enumerate(BATCHES)
    }


def in_folder(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def assert_is_the_data(data: RawDataSet) -> None:
    images = np.concatenate([batch_data(number) for number in range(6)]).reshape(-1, 3, 32, 32)
    labels = [label for number in range(6) for label in batch_labels(number)]
    assert contents(data.train) + contents(data.test) == [image.tobytes() for image in images]
    assert [*data.train.labels, *data.test.labels] == labels
    assert (len(data.train), len(data.test), data.num_classes) == (5 * SIZE, SIZE, 10)
    first = data.train.read(0)
    assert isinstance(first, np.ndarray)
    assert first.shape == (3, 32, 32)


def test_numpy_reads_the_python_2_pickles_of_these_tests() -> None:
    entries = pickle.loads(python2_cifar_pickle(batch_data(0), batch_labels(0)), encoding="latin1")
    np.testing.assert_array_equal(entries["data"], batch_data(0))
    assert entries["labels"] == batch_labels(0)
    assert entries["filenames"][1] == "img_1.png"


@pytest.mark.parametrize(("form", "files"), [("py", python_files()), ("bin", binary_files())])
def test_an_unpacked_folder_is_read_as_root_or_below_root(
    form: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = f"cifar-10-batches-{form}"
    write_files(tmp_path, in_folder(folder, files))
    assert_is_the_data(open_cifar10(tmp_path))
    assert_is_the_data(open_cifar10(tmp_path / folder))


@pytest.mark.parametrize(
    ("archive", "folder", "files"),
    [
        ("cifar-10-python.tar.gz", "cifar-10-batches-py", python_files()),
        ("cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary_files()),
    ],
)
def test_an_archive_is_read_without_unpacking(
    archive: str, folder: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / archive).write_bytes(tar_of(in_folder(folder, files), "w:gz"))
    assert_is_the_data(open_cifar10(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [archive]


def test_pickles_of_python_3_are_read(tmp_path: Path) -> None:
    for number, name in enumerate(BATCHES):
        content = {"labels": batch_labels(number), "data": batch_data(number)}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=4))
    assert_is_the_data(open_cifar10(tmp_path))


def test_the_error_names_a_missing_batch(tmp_path: Path) -> None:
    files = python_files()
    del files["data_batch_3"]
    write_files(tmp_path, files)
    with pytest.raises(
        MissingDataError, match=r"does not contain data_batch_3; download cifar-10-python\.tar\.gz again"
    ):
        open_cifar10(tmp_path)
    (tmp_path / "archived").mkdir()
    archive = tmp_path / "archived" / "cifar-10-python.tar.gz"
    archive.write_bytes(tar_of(in_folder("cifar-10-batches-py", files), "w:gz"))
    with pytest.raises(MissingDataError, match="does not contain data_batch_3"):
        open_cifar10(archive.parent)


def test_the_error_for_missing_data_says_what_to_download_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        open_cifar10(tmp_path / "nowhere")
    message = str(caught.value)
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message
    assert f"put it into {tmp_path / 'nowhere'}" in message
    assert "the folder does not exist" in message


def test_the_error_for_missing_data_names_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MissingDataError, match=f"was not found in {tmp_path.resolve()}/elsewhere/cifar10 "):
        open_cifar10(tmp_path / "data" / "cifar10")


class Harmful:
    """A pickle that calls a function when it is read."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (Path("harm"),)


def test_a_pickle_that_calls_another_function_is_an_error_and_the_function_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps({"data": Harmful()}, protocol=2)
    with pytest.raises(ValueError, match=r"batch cannot be read .* which is not allowed"):
        load_pickled_arrays(content, title="batch")
    assert not Path("harm").exists()
    pickle.loads(content)  # without the check, the function is called
    assert Path("harm").exists()


@pytest.mark.parametrize(
    "name", ["builtins\neval", "numpy.core.multiarray\nfromfile", "numpy\nload", "os\nsystem"]
)
def test_names_that_arrays_do_not_need_are_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="which is not allowed because arrays do not need it"):
        load_pickled_arrays(b"c" + name.encode() + b"\n(S'1'\ntR.", title="batch")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        python_files()["test_batch"][:-200],
        pickle.dumps([1, 2]),
        pickle.dumps({"data": np.zeros((1, 3072), np.float32), "labels": [0]}, protocol=2),
    ],
)
def test_the_error_names_a_damaged_or_foreign_pickle(content: bytes, tmp_path: Path) -> None:
    write_files(tmp_path, {**python_files(), "data_batch_2": content})
    with pytest.raises(ValueError, match="data_batch_2 cannot be read as a pickle of arrays"):
        open_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"labels": [0]}, "'data' must be an array"),
        ({"data": np.zeros((1, 3071), np.uint8), "labels": [0]}, "'data' must be an array"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "one label for each of 2 images"),
        ({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [0, 0]}, "'labels' must be a list"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "labels must lie between 0 and 9, got 10"),
    ],
)
def test_the_error_for_a_pickle_without_images_and_labels_says_what_is_wrong(
    entries: dict[str, object], message: str, tmp_path: Path
) -> None:
    write_files(tmp_path, {**python_files(), "data_batch_1": pickle.dumps(entries, protocol=4)})
    with pytest.raises(ValueError, match=message):
        open_cifar10(tmp_path)


def test_a_truncated_binary_batch_is_an_error(tmp_path: Path) -> None:
    files = binary_files()
    write_files(tmp_path, {**files, "data_batch_4.bin": files["data_batch_4.bin"][:-1]})
    with pytest.raises(ValueError, match=r"data_batch_4\.bin: 12291 bytes are not a multiple of 3073"):
        open_cifar10(tmp_path)
