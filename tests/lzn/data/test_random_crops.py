"""Position and size of random crops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import RandomResizedCrop

from lzn.data.random_crops import CropBox, draw_crop_box


def draw(width: int, height: int, *, seed: int = 0, min_area: float = 0.08, aspect: float = 4 / 3) -> CropBox:
    generator = torch.Generator().manual_seed(seed)
    return draw_crop_box(width, height, min_area=min_area, max_aspect_ratio=aspect, generator=generator)


@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    seed=st.integers(0, 2**31),
    area=st.floats(1e-3, 1.0),
)
def test_a_box_lies_in_the_image_and_has_an_allowed_aspect_ratio(
    width: int, height: int, seed: int, area: float
) -> None:
    box = draw(width, height, seed=seed, min_area=area)
    assert 0 <= box.left <= width - box.width
    assert 0 <= box.top <= height - box.height
    assert min(box.width, box.height) >= 1
    # Sides are rounded to whole pixels.
    assert (box.width - 1) / (box.height + 1) < 4 / 3
    assert (box.height - 1) / (box.width + 1) < 4 / 3


def test_areas_aspect_ratios_and_positions_have_the_distribution_of_torchvision() -> None:
    torch.manual_seed(0)
    transform, image = RandomResizedCrop(224, (0.08, 1.0), (3 / 4, 4 / 3)), torch.zeros(3, 375, 500)
    theirs = [transform.make_params([image]) for _ in range(4000)]
    ours = [draw(500, 375, seed=seed) for seed in range(4000)]

    def deciles(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).quantile(torch.arange(0.1, 1, 0.1).double())

    pairs = [
        (
            [box.width * box.height / 187500 for box in ours],
            [p["width"] * p["height"] / 187500 for p in theirs],
        ),
        (
            [math.log(box.width / box.height) for box in ours],
            [math.log(p["width"] / p["height"]) for p in theirs],
        ),
        ([box.left / 500 for box in ours], [p["left"] / 500 for p in theirs]),
        ([box.top / 375 for box in ours], [p["top"] / 375 for p in theirs]),
    ]
    for our_values, their_values in pairs:
        # The ranges are about 1. A decile of 4000 boxes has a standard deviation of at most
        # sqrt(0.25 / 4000) = 0.008 in rank, a difference 0.011; the tolerance is 5 of them.
        assert (deciles(our_values) - deciles(their_values)).abs().max() < 0.055


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1000, 30, CropBox(480, 0, 40, 30)),  # wider than allowed: 4/3 of the height, centred
        (30, 1000, CropBox(0, 480, 30, 40)),
        (1, 1, CropBox(0, 0, 1, 1)),
    ],
)
def test_the_box_is_the_largest_centred_one_if_no_random_box_fits(
    width: int, height: int, expected: CropBox
) -> None:
    # With an area of at least 0.9 and a ratio of at most 4/3, a box is higher (wider) than the narrow image.
    assert draw(width, height, min_area=0.9) == expected


def test_a_crop_may_be_the_whole_image() -> None:
    assert draw(50, 50, min_area=1.0, aspect=1.0) == CropBox(0, 0, 50, 50)


def test_every_call_uses_the_same_number_of_random_numbers() -> None:
    narrow, wide = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    draw_crop_box(1000, 30, min_area=0.9, max_aspect_ratio=4 / 3, generator=narrow)
    draw_crop_box(50, 50, min_area=0.08, max_aspect_ratio=4 / 3, generator=wide)
    assert torch.equal(narrow.get_state(), wide.get_state())


def test_boxes_reach_both_ends_of_the_image() -> None:
    # Squares of at least 81 of 100 pixels have sides of 9 or 10; a side of 9 has two positions in each direction.
    boxes = [draw(10, 10, seed=seed, min_area=0.81, aspect=1.0) for seed in range(100)]
    assert {(box.left, box.top) for box in boxes if box.width == 9} == {(0, 0), (0, 1), (1, 0), (1, 1)}
