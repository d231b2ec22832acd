"""Conversion of an image of any size to the size of a data set."""

import numpy as np
import pytest
from lzn_testing.data.image_files import noise
from PIL import Image
from torchvision import transforms

from lzn.data import CorruptImageError
from lzn.preparation import Fit, FitKind

KINDS: tuple[FitKind, ...] = ("crop", "pad", "exact")


def fitted(image: Image.Image, kind: FitKind, size: int) -> np.ndarray:
    return np.asarray(Fit(kind=kind, size=size, num_channels=1)(image))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_the_right_size_does_not_change(kind: FitKind) -> None:
    image = noise(12, 12, channels=1)
    np.testing.assert_array_equal(fitted(image, kind, 12), np.asarray(image))


@pytest.mark.parametrize(("num_channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("kind", KINDS)
def test_images_become_grey_or_colour(kind: FitKind, num_channels: int, mode: str) -> None:
    for channels in (1, 3):
        fit = Fit(kind=kind, size=8, num_channels=num_channels)
        assert fit(noise(8, 8, channels=channels)).mode == mode
        assert fit.image_shape == (num_channels, 8, 8)


@pytest.mark.parametrize("size", [(30, 20), (20, 30), (20, 21)])
def test_crop_takes_the_largest_square_in_the_centre(size: tuple[int, int]) -> None:
    image = noise(*size, channels=1)
    left, top = (size[0] - 20) // 2, (size[1] - 20) // 2
    np.testing.assert_array_equal(
        fitted(image, "crop", 20), np.asarray(image)[top : top + 20, left : left + 20]
    )


def test_crop_shrinks_with_antialiasing() -> None:
    # At a quarter of the size, stripes of one pixel become black or white without antialiasing, and their mean
    # with antialiasing.
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    inner = fitted(stripes, "crop", 16)[:, 2:-2]
    assert (
        np.abs(inner.astype(int) - 127.5).max() < 10
    )  # the tolerance is for the finite window of the filter


@pytest.mark.parametrize(("side", "size"), [(1024, 256), (301, 64), (33, 64)])
def test_bilinear_gives_the_pixels_of_the_resize_in_the_papers_code(side: int, size: int) -> None:
    image = noise(side, side)
    expected = np.asarray(transforms.Resize(size)(image))
    resized = np.asarray(Fit(kind="crop", size=size, num_channels=3, resize="bilinear")(image))
    np.testing.assert_array_equal(resized, expected)  # 0 grey levels
    assert not np.array_equal(resized, np.asarray(Fit(kind="crop", size=size, num_channels=3)(image)))


def test_crop_enlarges_small_images() -> None:
    assert fitted(Image.new("L", (3, 5), 77), "crop", 16).tolist() == [[77] * 16] * 16


def test_pad_centres_a_small_unchanged_image_on_black() -> None:
    image = noise(28, 28, channels=1)
    np.testing.assert_array_equal(fitted(image, "pad", 32), np.pad(np.asarray(image), 2))


@pytest.mark.parametrize(
    ("size", "shape"), [((60, 40), (21, 32)), ((40, 60), (32, 21)), ((1000, 1), (1, 32))]
)
def test_pad_shrinks_a_large_image_until_it_fits(size: tuple[int, int], shape: tuple[int, int]) -> None:
    padded = fitted(Image.new("L", size, 200), "pad", 32)
    rows, columns = np.nonzero(padded)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == shape
    assert set(np.unique(padded)) == {0, 200}
    assert abs(rows.min() - (31 - rows.max())) <= 1  # centred to one pixel
    assert abs(columns.min() - (31 - columns.max())) <= 1


def test_the_error_of_exact_names_another_size() -> None:
    with pytest.raises(CorruptImageError, match="has 30x32 pixels, not 32x32"):
        fitted(noise(30, 32), "exact", 32)


def test_settings_out_of_range_are_an_error() -> None:
    with pytest.raises(ValueError, match="size must be at least 1"):
        Fit(kind="crop", size=0, num_channels=3)
    with pytest.raises(ValueError, match="got 2"):
        Fit(kind="crop", size=8, num_channels=2)
