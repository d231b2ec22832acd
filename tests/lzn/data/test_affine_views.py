"""Affine views: the effect of each transformation alone on the pixels."""

import pytest
import torch
from lzn_testing.emulated_tf32 import emulated_tf32
from lzn_testing.random_numbers import batch_random_for, seeded
from torch import Tensor

from lzn.data import AffineViews

IDENTITY = {
    "max_rotation": 0.0,
    "max_scale": 1.0,
    "max_shear": 0.0,
    "max_shift": 0.0,
    "min_contrast": 1.0,
    "noise": 0.0,
}
SAMPLE_SETTINGS = {
    "max_rotation": 20.0,
    "max_scale": 1.2,
    "max_shear": 0.2,
    "max_shift": 1.0,
    "min_contrast": 0.6,
    "noise": 0.1,
}


def random_images(num: int = 6, channels: int = 1, size: int = 8) -> Tensor:
    return torch.rand(num, channels, size, size, generator=seeded(1)) * 2 - 1


def view(images: Tensor, *, seed: int = 0, **changes: float) -> Tensor:
    return AffineViews(**{**IDENTITY, **changes})(images, batch_random_for(len(images), seed))


def set_uniform_numbers(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    """Make every uniform random number ``value``; 0 and 1 give the limits of all settings exactly."""
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, value))


def test_identity_settings_return_the_images() -> None:
    images = random_images(channels=3)
    # Bilinear weights are 0 and 1 up to the rounding of grid coordinates, a few units in the last place.
    torch.testing.assert_close(view(images), images, atol=2e-6, rtol=0)


@pytest.mark.parametrize("number", [0.0, 1.0])
def test_a_rotation_by_90_degrees_moves_every_pixel_to_its_place(
    monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    images = random_images(channels=2)
    set_uniform_numbers(monkeypatch, number)
    rotated = view(images, max_rotation=90.0)
    quarter_turns = -1 if number == 0.0 else 1
    # cos(90 degrees) is 4e-8 in float32; coordinates go up to 8 pixels.
    torch.testing.assert_close(rotated, images.rot90(quarter_turns, dims=(2, 3)), atol=1e-5, rtol=0)


def test_a_shift_by_whole_pixels_moves_the_image_and_adds_background(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images()
    set_uniform_numbers(monkeypatch, 1.0)
    shifted = view(images, max_shift=3.0)
    torch.testing.assert_close(shifted[:, :, :-3, :-3], images[:, :, 3:, 3:], atol=1e-5, rtol=0)
    torch.testing.assert_close(shifted[:, :, -3:, :], torch.full((6, 1, 3, 8), -1.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(shifted[:, :, :, -3:], torch.full((6, 1, 8, 3), -1.0), atol=1e-5, rtol=0)


def test_shifts_are_in_pixels_in_both_directions_on_images_that_are_not_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = torch.rand(2, 1, 6, 12, generator=seeded()) * 2 - 1
    set_uniform_numbers(monkeypatch, 0.0)
    shifted = view(images, max_shift=2.0)
    torch.testing.assert_close(shifted[:, :, 2:, 2:], images[:, :, :-2, :-2], atol=1e-5, rtol=0)


def test_magnification_by_two_enlarges_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.full((1, 1, 8, 8), -1.0)
    image[:, :, 3:5, 3:5] = 1.0
    set_uniform_numbers(monkeypatch, 1.0)
    height = (view(image, max_scale=2.0) + 1).sum() / 2
    # The area grows with the square of the factor; bilinear interpolation keeps the sum of an inner square.
    assert height.item() == pytest.approx(4 * 4, rel=1e-4)


def test_shear_moves_rows_horizontally_and_does_not_change_them(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.full((1, 1, 8, 8), -1.0)
    image[0, 0, [0, 7], 4] = 1.0
    set_uniform_numbers(monkeypatch, 1.0)
    sheared = view(image, max_shear=2 / 7)
    # Rows 0 and 7 are 3.5 pixels above and below the centre, so they move by one pixel in opposite directions.
    expected = torch.full((1, 1, 8, 8), -1.0)
    expected[0, 0, 0, 5] = expected[0, 0, 7, 3] = 1.0
    torch.testing.assert_close(sheared, expected, atol=1e-5, rtol=0)


def test_contrast_reduces_the_difference_to_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images()
    set_uniform_numbers(monkeypatch, 0.0)
    torch.testing.assert_close(view(images, min_contrast=0.25) + 1, 0.25 * (images + 1), atol=2e-6, rtol=0)


def test_each_image_has_one_contrast_and_images_differ() -> None:
    heights = view(torch.zeros(50, 3, 8, 8), min_contrast=0.5) + 1
    assert (heights - heights[:, :1, :1, :1]).abs().max() < 1e-6
    per_image = heights[:, 0, 0, 0]
    # 50 uniform numbers from [0.5, 1] have a range below 0.25 with probability 1e-13.
    assert (per_image.max() - per_image.min()).item() > 0.25
    assert per_image.min() >= 0.5
    assert per_image.max() <= 1.0


def test_no_motion_changes_an_image_of_background() -> None:
    background = torch.full((20, 1, 8, 8), -1.0)
    moved = view(background, **{**SAMPLE_SETTINGS, "noise": 0.0})
    assert torch.equal(moved, background)


def test_noise_has_the_given_standard_deviation() -> None:
    noise = view(torch.zeros(400, 1, 8, 8), noise=0.1)
    # The estimate from 25600 numbers has a standard deviation of 0.1 / sqrt(51200); the tolerance is 5 of them.
    assert noise.std().item() == pytest.approx(0.1, abs=0.0022)


def test_views_stay_in_range() -> None:
    views = view(random_images(200).sign(), **{**SAMPLE_SETTINGS, "noise": 1.0})
    assert views.min() >= -1
    assert views.max() <= 1


def test_the_seed_determines_the_view_and_a_second_call_differs() -> None:
    images = random_images()
    make_view = AffineViews(**SAMPLE_SETTINGS)
    random = batch_random_for(len(images), 3)
    first, second = make_view(images, random), make_view(images, random)
    assert torch.equal(make_view(images, batch_random_for(len(images), 3)), first)
    assert not torch.equal(first, second)


def test_images_of_one_batch_move_differently() -> None:
    views = view(random_images(1).expand(20, -1, -1, -1), max_rotation=20.0)
    assert len(views.unique(dim=0)) == 20


def test_views_draw_nothing_from_the_global_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    view(random_images(), **SAMPLE_SETTINGS)
    assert torch.equal(torch.rand(3), expected)


def test_views_are_the_same_under_autocast() -> None:
    images = random_images(channels=3)
    expected = view(images, **SAMPLE_SETTINGS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        views = view(images, **SAMPLE_SETTINGS)
    assert views.dtype == torch.float32
    assert torch.equal(views, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"max_scale": 0.9},
        {"min_contrast": 0.0},
        {"min_contrast": 1.1},
        {"max_rotation": -1.0},
        {"max_shear": -0.1},
        {"max_shift": -1.0},
        {"noise": -0.1},
    ],
)
def test_the_error_names_a_setting_out_of_range(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        AffineViews(**{**IDENTITY, **change})


def test_tf32_changes_no_view() -> None:
    images = random_images()
    expected = view(images, **SAMPLE_SETTINGS)
    with emulated_tf32():
        assert torch.equal(view(images, **SAMPLE_SETTINGS), expected)
