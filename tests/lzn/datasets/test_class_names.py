"""The order and the names of classes, which define the labels."""

from pathlib import Path

import numpy as np
import pytest
from torchvision.models import ResNet50_Weights

from lzn.datasets import ArraySource, RawDataSet, open_folder
from lzn.datasets.cifar10 import CLASS_NAMES as CIFAR10
from lzn.datasets.class_names import imagenet_names, in_order
from lzn.datasets.fashion_mnist import CLASS_NAMES as FASHION
from rehearsal.file_formats import write_images


def test_folders_with_numeric_names_are_sorted_as_numbers(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{number}/{index}.png" for number in range(12) for index in range(2)])
    data = open_folder(tmp_path, test_fraction=0.5, seed=0)
    assert data.class_names == tuple(map(str, range(12)))
    for index, label in enumerate(data.train.labels):
        assert Path(data.train.name(index)).parent.name == str(label)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "-1", "2.5"], ["-1", "2.5", "9", "10"]),
        (["007", "10", "08"], ["007", "08", "10"]),
        (["b", "10", "B", "9", "a10", "a9"], ["9", "10", "B", "a10", "a9", "b"]),
        (["²", "1"], ["1", "²"]),
    ],
)
def test_numbers_are_ordered_by_value_and_other_names_as_text(names: list[str], expected: list[str]) -> None:
    assert in_order(names) == expected


def test_data_sets_have_their_published_class_names() -> None:
    assert (CIFAR10[3], FASHION[7]) == ("cat", "Sneaker")
    assert (len(CIFAR10), len(FASHION)) == (10, 10)


def test_imagenet_has_names_of_the_development_kit_or_of_torchvision() -> None:
    few = ("n01440764", "n02119789")
    assert imagenet_names(few, {"n01440764": "tench, Tinca tinca"}) == ("tench", "n02119789")
    all_wnids = ("n01440764", *(f"n1000{number:04}" for number in range(998)), "n15075141")
    names = imagenet_names(all_wnids, {})
    assert names == tuple(ResNet50_Weights.DEFAULT.meta["categories"])


def test_a_data_set_with_names_for_some_classes_only_is_an_error() -> None:
    source = ArraySource(np.zeros((2, 1, 2, 2), np.uint8), [0, 1], title="two")
    with pytest.raises(ValueError, match="class_names has 1 names for 2 classes"):
        RawDataSet(source, source, 2, ("only",))
