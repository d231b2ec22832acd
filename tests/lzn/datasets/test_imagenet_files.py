"""ImageNet's archives, which are not unpacked, and torchvision's folders with their content."""

import pickle
import tarfile
from pathlib import Path

import pytest
from lzn_testing.data.data_layouts import contents
from torchvision.datasets import ImageFolder

from lzn.datasets import MissingDataError, RawDataSet, open_imagenet
from rehearsal.file_formats import encoded_image, imagenet_devkit, tar_of, write_files

# The devkit's numbers are not in the order of the WordNet ids, as in the real devkit.
WNID_OF_NUMBER = {1: "n02119789", 2: "n01440764", 3: "n03000134"}
WNIDS = sorted(WNID_OF_NUMBER.values())
VALIDATION_NUMBERS = [3, 2, 1, 2]
VAL = {f"ILSVRC2012_val_{n:08}.JPEG": encoded_image(100 + n) for n in range(1, len(VALIDATION_NUMBERS) + 1)}
VAL_LABELS = [WNIDS.index(WNID_OF_NUMBER[number]) for number in VALIDATION_NUMBERS]
TRAIN = {
    wnid: {f"{wnid}_{number}.JPEG": encoded_image(10 * label + number) for number in (10, 9, 18)}
    for label, wnid in enumerate(WNIDS)
}
TRAIN_IN_ORDER = [TRAIN[wnid][name] for wnid in WNIDS for name in sorted(TRAIN[wnid])]


def write_archives(root: Path) -> None:
    # The order in real archives is arbitrary.
    classes = {f"{wnid}.tar": tar_of(TRAIN[wnid]) for wnid in reversed(WNIDS)}
    archives = {
        "ILSVRC2012_img_train.tar": tar_of(classes),
        "ILSVRC2012_img_val.tar": tar_of(dict(reversed(VAL.items()))),
        "ILSVRC2012_devkit_t12.tar.gz": imagenet_devkit(WNID_OF_NUMBER, VALIDATION_NUMBERS),
    }
    write_files(root, archives)


def write_folders(root: Path) -> None:
    """Write the folders that torchvision's ImageNet makes from the archives."""
    for wnid in WNIDS:
        write_files(root / "train" / wnid, TRAIN[wnid])
    for (name, content), number in zip(VAL.items(), VALIDATION_NUMBERS, strict=True):
        write_files(root / "val" / WNID_OF_NUMBER[number], {name: content})


def assert_is_the_data(data: RawDataSet) -> None:
    assert contents(data.train) == TRAIN_IN_ORDER
    assert data.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert contents(data.test) == list(VAL.values())
    assert data.test.labels.tolist() == VAL_LABELS
    assert data.num_classes == 3


def test_the_archives_are_read_without_unpacking(tmp_path: Path) -> None:
    write_archives(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    data = open_imagenet(tmp_path)
    assert_is_the_data(data)
    assert sorted(tmp_path.rglob("*")) == before
    assert data.train.name(0) == f"{tmp_path / 'ILSVRC2012_img_train.tar'}: n01440764_10.JPEG"
    assert_is_the_data(pickle.loads(pickle.dumps(data)))


def test_the_folders_of_torchvision_give_the_same_images_labels_and_order(tmp_path: Path) -> None:
    write_folders(tmp_path)
    data = open_imagenet(tmp_path)
    assert_is_the_data(data)
    ours = [(data.train.name(index), int(label)) for index, label in enumerate(data.train.labels)]
    assert ours == ImageFolder(str(tmp_path / "train")).samples


def test_folders_and_archives_may_be_mixed(tmp_path: Path) -> None:
    write_archives(tmp_path)
    (tmp_path / "ILSVRC2012_img_train.tar").unlink()
    write_files(tmp_path / "train", {f"{w}/{name}": c for w in WNIDS for name, c in TRAIN[w].items()})
    assert_is_the_data(open_imagenet(tmp_path))


def test_labels_of_validation_images_in_one_folder_are_read_from_the_development_kit(tmp_path: Path) -> None:
    write_archives(tmp_path)
    (tmp_path / "ILSVRC2012_img_val.tar").unlink()
    write_files(tmp_path / "val", VAL)
    assert_is_the_data(open_imagenet(tmp_path))


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("ILSVRC2012_img_train.tar", r"(?s)training images.*Download: ILSVRC2012_img_train\.tar from https"),
        ("ILSVRC2012_img_val.tar", r"(?s)validation images.*ILSVRC2012_img_val\.tar and .*image-net\.org"),
        ("ILSVRC2012_devkit_t12.tar.gz", r"(?s)validation images.*ILSVRC2012_devkit_t12\.tar\.gz from https"),
    ],
)
def test_the_error_for_a_missing_archive_says_what_to_download(
    tmp_path: Path, absent: str, message: str
) -> None:
    write_archives(tmp_path)
    (tmp_path / absent).unlink()
    with pytest.raises(MissingDataError, match=message) as caught:
        open_imagenet(tmp_path)
    assert f"put them into {tmp_path}; do not unpack them" in str(caught.value)


def test_another_archive_with_the_name_of_the_training_images_is_an_error(tmp_path: Path) -> None:
    write_archives(tmp_path)
    (tmp_path / "ILSVRC2012_img_val.tar").rename(tmp_path / "ILSVRC2012_img_train.tar")
    with pytest.raises(
        ValueError, match=r"member ILSVRC2012_val_00000001\.JPEG is not the archive of a class"
    ):
        open_imagenet(tmp_path)


def test_a_class_archive_with_a_link_is_an_error(tmp_path: Path) -> None:
    write_archives(tmp_path)
    inner = tmp_path / "inner.tar"
    with tarfile.open(inner, "w") as tar:
        entry = tarfile.TarInfo("n01440764_1.JPEG")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(tar_of({"n01440764.tar": inner.read_bytes()}))
    with pytest.raises(ValueError, match=r"n01440764\.tar: 'n01440764_1\.JPEG' is a link"):
        open_imagenet(tmp_path)


def test_the_error_names_a_class_without_images(tmp_path: Path) -> None:
    write_archives(tmp_path)
    classes = {"n01440764.tar": tar_of({"._n01440764_1.JPEG": b"x", "readme.txt": b"x"})}
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(tar_of(classes))
    with pytest.raises(ValueError, match=r"n01440764\.tar contains no images"):
        open_imagenet(tmp_path)


def test_different_numbers_of_labels_and_images_are_an_error(tmp_path: Path) -> None:
    write_archives(tmp_path)
    short = tar_of(dict(list(VAL.items())[:-1]))
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(short)
    with pytest.raises(ValueError, match=r"ILSVRC2012_img_val\.tar contains 3 images, but .* 4 labels"):
        open_imagenet(tmp_path)


def test_training_classes_that_differ_from_the_development_kit_are_an_error(tmp_path: Path) -> None:
    write_archives(tmp_path)
    devkit = imagenet_devkit({1: "n02119789", 2: "n01440764", 3: "n09999999"}, VALIDATION_NUMBERS)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(devkit)
    with pytest.raises(ValueError, match="differ in 2 classes, such as n03000134"):
        open_imagenet(tmp_path)


def test_the_error_names_a_validation_image_of_an_unknown_class(tmp_path: Path) -> None:
    write_folders(tmp_path)
    write_files(tmp_path / "val", {"n09999999/ILSVRC2012_val_00000009.JPEG": encoded_image(0)})
    with pytest.raises(ValueError, match=r"ILSVRC2012_val_00000009\.JPEG is in a folder that is not a class"):
        open_imagenet(tmp_path)


@pytest.mark.parametrize(
    ("devkit", "message"),
    [
        (
            tar_of({"readme.txt": b"x"}, "w:gz"),
            r"not ImageNet's development kit: it does not contain .*meta\.mat",
        ),
        (imagenet_devkit(WNID_OF_NUMBER, [1, 2, 3, 4]), "has a line that is not a class"),
        (
            tar_of(
                {
                    "ILSVRC2012_devkit_t12/data/meta.mat": b"junk",
                    "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": b"1\n",
                },
                "w:gz",
            ),
            r"meta\.mat cannot be read",
        ),
    ],
    ids=[
        "other files",
        "unknown class",
        "damaged",
    ],  # explicit ids, because the bytes contain the time of writing
)
def test_a_damaged_or_other_development_kit_is_an_error(tmp_path: Path, devkit: bytes, message: str) -> None:
    write_archives(tmp_path)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(devkit)
    with pytest.raises(ValueError, match=message):
        open_imagenet(tmp_path)
