"""Data sets that are folders of images: AFHQ, CelebA-HQ, and a folder of the user."""

from pathlib import Path

import pytest
from lzn_testing.data.data_layouts import contents
from torchvision.datasets import ImageFolder

from lzn.datasets import MissingDataError, open_afhq, open_celeba_hq, open_folder
from rehearsal.file_formats import write_images

AFHQ = [
    "train/cat/flickr_cat_000002.jpg",
    "train/cat/flickr_cat_000003.jpg",
    "train/dog/flickr_dog_000002.jpg",
    "val/cat/flickr_cat_000008.jpg",
    "val/dog/flickr_dog_000043.jpg",
]


@pytest.mark.parametrize("place", ["", "afhq"])
def test_the_default_of_afhq_is_cats(tmp_path: Path, place: str) -> None:
    files = write_images(tmp_path / place, AFHQ)
    data = open_afhq(tmp_path)
    assert contents(data.train) == [files[AFHQ[0]], files[AFHQ[1]]]
    assert contents(data.test) == [files[AFHQ[3]]]
    assert (data.train.labels.tolist(), data.num_classes) == ([0, 0], 1)


def test_several_animals_are_classes_sorted_by_name(tmp_path: Path) -> None:
    write_images(tmp_path, AFHQ)
    data = open_afhq(tmp_path, animals=("dog", "cat"))
    assert data.train.labels.tolist() == [0, 0, 1]
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.name(2).endswith("flickr_dog_000002.jpg")
    assert data.num_classes == 2


def test_the_test_folder_of_afhq_version_2_is_read(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/cat/pixabay_cat_000002.png", "test/cat/pixabay_cat_000117.png"])
    data = open_afhq(tmp_path)
    assert (len(data.train), len(data.test)) == (1, 1)


def test_the_error_for_missing_cats_says_what_to_download_and_where_to_put_it(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/dog/1.jpg", "val/dog/2.jpg", "val/cat/3.jpg"])
    with pytest.raises(
        MissingDataError, match=r"(?s)AFHQ \(cat\).*stargan-v2.*train/cat contains its images"
    ):
        open_afhq(tmp_path)


def test_afhq_without_animals_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one folder"):
        open_afhq(tmp_path, animals=())


CELEBA_LAYOUTS = [
    ("", ["00000.jpg", "00001.jpg"]),
    ("CelebA-HQ-img", ["0.jpg", "1.jpg", "10.jpg"]),
    ("CelebAMask-HQ/CelebA-HQ-img", ["0.jpg", "1.jpg"]),
    ("celeba_hq", ["train/female/000004.jpg", "train/male/000016.jpg", "val/male/000001.jpg"]),
    ("data1024x1024", ["00001.png"]),
]


@pytest.mark.parametrize(("folder", "names"), CELEBA_LAYOUTS)
def test_celeba_hq_is_found_in_its_usual_folders(tmp_path: Path, folder: str, names: list[str]) -> None:
    files = write_images(tmp_path / folder, names)
    data = open_celeba_hq(tmp_path)
    assert contents(data.train) == list(files.values())
    assert (len(data.test), data.num_classes, set(data.train.labels.tolist())) == (0, 1, {0})


def test_the_masks_beside_celeba_hq_are_not_read(tmp_path: Path) -> None:
    write_images(
        tmp_path / "CelebAMask-HQ", ["CelebA-HQ-img/0.jpg", "CelebAMask-HQ-mask-anno/0/00000_hair.png"]
    )
    for root in (tmp_path, tmp_path / "CelebAMask-HQ"):
        assert len(open_celeba_hq(root).train) == 1


def test_two_copies_of_celeba_hq_are_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, ["data256x256/1.jpg", "data1024x1024/1.jpg"])
    with pytest.raises(ValueError, match="more than once"):
        open_celeba_hq(tmp_path)
    assert len(open_celeba_hq(tmp_path / "data256x256").train) == 1


@pytest.mark.parametrize("exists", [True, False])
def test_the_error_for_missing_faces_says_what_to_download_and_where_to_put_it(
    tmp_path: Path, exists: bool
) -> None:
    root = tmp_path if exists else tmp_path / "nowhere"
    with pytest.raises(MissingDataError, match=r"(?s)CelebAMask-HQ\.zip, see https://.*unpack it in"):
        open_celeba_hq(root)


def test_subfolders_with_images_are_classes(tmp_path: Path) -> None:
    write_images(tmp_path, ["b/1.png", "b/deep/2.png", "a/3.jpg", "c/4.webp"])
    data = open_folder(tmp_path, test_fraction=0, seed=0)
    assert (data.num_classes, len(data.test)) == (3, 0)
    labels = {Path(data.train.name(index)).name: int(label) for index, label in enumerate(data.train.labels)}
    assert labels == {"3.jpg": 0, "1.png": 1, "2.png": 1, "4.webp": 2}


def test_classes_and_order_are_the_same_as_in_torchvision(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{name}/{index}.jpg" for name in ("dog", "Cat", "emu") for index in (1, 2, 10)])
    data = open_folder(tmp_path, test_fraction=0, seed=0).train
    ours = [(data.name(index), int(label)) for index, label in enumerate(data.labels)]
    assert ours == ImageFolder(str(tmp_path)).samples


@pytest.mark.parametrize("names", [["1.jpg", "2.jpg"], ["only/1.jpg", "only/2.jpg"], ["1.jpg", "only/2.jpg"]])
def test_with_fewer_than_two_folders_of_images_there_are_no_classes(tmp_path: Path, names: list[str]) -> None:
    write_images(tmp_path, names)
    data = open_folder(tmp_path, test_fraction=0, seed=0)
    assert (data.num_classes, data.train.labels.tolist()) == (1, [0, 0])


def test_a_share_of_each_class_is_for_testing(tmp_path: Path) -> None:
    files = write_images(tmp_path, [f"{name}/{index}.png" for name in "ab" for index in range(10)])
    data = open_folder(tmp_path, test_fraction=0.2, seed=0)
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert sorted(contents(data.train) + contents(data.test)) == sorted(files.values())


def test_images_beside_class_folders_are_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.jpg", "b/2.jpg", "3.jpg"])
    with pytest.raises(ValueError, match="images beside the folders a, b"):
        open_folder(tmp_path, test_fraction=0, seed=0)


def test_folders_of_splits_are_an_error_and_not_classes(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/a/1.jpg", "val/a/2.jpg"])
    with pytest.raises(ValueError, match="which are splits and not classes; set root to one of them"):
        open_folder(tmp_path, test_fraction=0, seed=0)


def test_the_error_for_a_folder_without_images_lists_the_image_suffixes(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("no image")
    with pytest.raises(MissingDataError, match=r"(?s)\.jpeg .*\.png .*put the images there"):
        open_folder(tmp_path, test_fraction=0, seed=0)
