"""SimCLR's views: both ways to compute them agree, and each distortion is applied to the right images in order."""

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch
from lzn_testing.random_numbers import MetaRandom, batch_random_for, seeded
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision_functional

from lzn.base.randomness import BatchRandom
from lzn.data import SimCLRCrops, SimCLRDistortions, SimCLRViews, simclr_views
from lzn.data.random_crops import draw_crop_box
from lzn.data.simclr_views import Distortions

NOTHING: dict[str, float] = {
    "jitter_probability": 0.0,
    "grey_probability": 0.0,
    "flip_probability": 0.0,
    "blur_probability": 0.0,
}


def random_photo(width: int = 60, height: int = 45, channels: int = 3) -> PIL.Image.Image:
    """Blocks of random colour; neither a resize nor a blur makes the image uniform."""
    shape = (height // 5, width // 5) if channels == 1 else (height // 5, width // 5, channels)
    blocks = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return PIL.Image.fromarray(blocks.repeat(5, axis=0).repeat(5, axis=1))


def random_images(num: int = 6, channels: int = 3, size: int = 16) -> Tensor:
    """Return random images in [-1, 1]."""
    return torch.rand(num, channels, size, size, generator=seeded(1)) * 2 - 1


def levels(images: Tensor) -> Tensor:
    """Convert images in [-1, 1] to pixel values without rounding."""
    return (images + 1) * 127.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_views_made_at_loading_and_on_the_device_are_the_same(channels: int, seed: int) -> None:
    photo = random_photo(channels=channels)
    whole = SimCLRViews(size=32)(photo, seeded(seed))
    generator = seeded(seed)
    crop = SimCLRCrops(size=32)(photo, generator)
    on_device = SimCLRDistortions()(crop[None] / 127.5 - 1, BatchRandom.for_whole_batch(1, generator))[0]
    assert whole.dtype == torch.uint8
    assert whole.shape == (channels, 32, 32)
    # Half a level, because a complete view is stored as bytes, and the rounding of [-1, 1].
    assert (whole - levels(on_device)).abs().max() < 0.5 + 1e-3


@pytest.mark.parametrize("seed", range(8))
def test_a_view_is_the_same_as_with_torchvision_and_the_same_parameters(seed: int) -> None:
    photo, settings = random_photo(), SimCLRViews(size=32)
    generator = seeded(seed)
    box = draw_crop_box(*photo.size, min_area=0.08, max_aspect_ratio=4 / 3, generator=generator)
    drawn = settings.draw(BatchRandom.for_whole_batch(1, generator))
    functions: list[Callable[[Tensor, float], Tensor]] = [
        torchvision_functional.adjust_brightness,
        torchvision_functional.adjust_contrast,
        torchvision_functional.adjust_saturation,
        torchvision_functional.adjust_hue,
    ]
    cropped = torchvision_functional.resized_crop(photo, box.top, box.left, box.height, box.width, [32, 32])
    image = torchvision_functional.pil_to_tensor(cropped) / 255
    if drawn.flipped[0]:
        image = torchvision_functional.horizontal_flip(image)
    if drawn.jittered[0]:
        for number in drawn.order[0].tolist():
            image = functions[number](image, float(drawn.amounts[0, number]))
    if drawn.grey[0]:
        image = torchvision_functional.rgb_to_grayscale(image, num_output_channels=3)
    image = torchvision_functional.gaussian_blur(image, [23, 23], [float(drawn.sigmas[0])])
    # Half a level from the storage as bytes, and float32 rounding.
    assert (settings(photo, seeded(seed)) - image * 255).abs().max() < 0.5 + 1e-3


def test_the_view_of_an_image_does_not_depend_on_the_others_in_its_batch() -> None:
    images = (random_images(12) + 1) / 2
    drawn = SimCLRDistortions(blur_kernel=5, blur_probability=0.5).draw(batch_random_for(12))
    together = drawn.apply(images)
    for index in range(12):
        one = Distortions(
            **{
                name: value[index : index + 1] if isinstance(value, Tensor) else value
                for name, value in vars(drawn).items()
            }
        )
        # Vector and scalar instructions of the CPU round the last bit differently.
        torch.testing.assert_close(
            one.apply(images[index : index + 1])[0], together[index], atol=1e-6, rtol=0
        )


def test_colour_changes_are_made_in_the_given_order() -> None:
    image = torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1)
    drawn = replace(
        SimCLRDistortions(**{**NOTHING, "jitter_probability": 1.0}).draw(batch_random_for(1)),
        amounts=torch.tensor([[1.5, 1.0, 0.0, 0.0]]),
    )
    brightness_first = replace(drawn, order=torch.tensor([[0, 1, 2, 3]])).apply(image)
    saturation_first = replace(drawn, order=torch.tensor([[2, 1, 0, 3]])).apply(image)
    # Brightness first clips red to 1 before the grey is computed; saturation first brightens the original's grey.
    grey_of_clipped = 0.2989 * 1.0 + 0.587 * 0.6 + 0.114 * 0.3
    brightened_grey = 1.5 * (0.2989 * 0.8 + 0.587 * 0.4 + 0.114 * 0.2)
    torch.testing.assert_close(brightness_first, torch.full((1, 3, 1, 1), grey_of_clipped), atol=1e-6, rtol=0)
    torch.testing.assert_close(saturation_first, torch.full((1, 3, 1, 1), brightened_grey), atol=1e-6, rtol=0)


def test_without_distortions_the_images_do_not_change() -> None:
    images = random_images()
    unchanged = SimCLRDistortions(**NOTHING)(images, batch_random_for(len(images)))
    # Rounding of the conversion to [0, 1] and back.
    torch.testing.assert_close(unchanged, images, atol=2e-7, rtol=0)


def test_flips_alone_are_exact() -> None:
    images = random_images(64)
    views = SimCLRDistortions(**{**NOTHING, "flip_probability": 0.5})(images, batch_random_for(len(images)))
    is_mirror = (views - images.flip(3)).abs().flatten(1).amax(dim=1) < 2e-7
    is_same = (views - images).abs().flatten(1).amax(dim=1) < 2e-7
    assert bool((is_mirror ^ is_same).all())
    assert is_mirror.any()
    assert is_same.any()


@pytest.mark.parametrize(
    ("name", "probability"),
    [
        ("flipped", 0.5),
        ("jittered", 0.8),
        ("grey", 0.2),
        ("blurred", 1.0),
    ],
)
def test_each_distortion_has_the_probability_of_the_paper(name: str, probability: float) -> None:
    chosen = getattr(SimCLRDistortions().draw(batch_random_for(10_000)), name)
    # The standard deviation of 10000 coins is at most 0.005; the tolerance is 5 of them.
    assert float(chosen.float().mean()) == pytest.approx(probability, abs=0.025)


def test_amounts_fill_the_ranges_of_the_paper() -> None:
    drawn = SimCLRDistortions().draw(batch_random_for(10_000))
    low, high = drawn.amounts.amin(dim=0), drawn.amounts.amax(dim=0)
    # The largest of 10000 uniform numbers is on average 1/10000 of the range below the end.
    torch.testing.assert_close(low, torch.tensor([0.2, 0.2, 0.2, -0.2]), atol=2e-3, rtol=0)
    torch.testing.assert_close(high, torch.tensor([1.8, 1.8, 1.8, 0.2]), atol=2e-3, rtol=0)
    assert (drawn.sigmas.min().item(), drawn.sigmas.max().item()) == pytest.approx((0.1, 2.0), abs=2e-3)
    assert drawn.sigmas.mean().item() == pytest.approx(1.05, abs=0.03)


def test_factors_are_never_negative() -> None:
    assert SimCLRDistortions(jitter=1.5).draw(batch_random_for(1000)).amounts[:, :3].min() >= 0


def test_all_24_orders_of_colour_changes_are_equally_frequent() -> None:
    orders = SimCLRDistortions().draw(batch_random_for(24_000)).order
    distinct, counts = orders.unique(dim=0, return_counts=True)
    assert len(distinct) == 24
    # 24000 orders of probability 1/24: the standard deviation is 31, the tolerance 5 of them.
    assert (counts - 1000).abs().max() < 155


def test_a_grey_view_has_three_equal_channels() -> None:
    views = SimCLRDistortions(**{**NOTHING, "grey_probability": 1.0})(
        random_images(), batch_random_for(len(random_images()))
    )
    assert torch.equal(views[:, :1].expand_as(views), views)


def test_views_stay_in_range_and_differ_between_images_and_calls() -> None:
    images = random_images(1).expand(20, -1, -1, -1)
    make_views, random = SimCLRDistortions(blur_kernel=5), batch_random_for(20, 3)
    first, second = make_views(images, random), make_views(images, random)
    assert (first.min() >= -1, first.max() <= 1) == (True, True)
    assert len(first.unique(dim=0)) == 20
    assert not torch.equal(first, second)
    assert torch.equal(make_views(images, batch_random_for(len(images), 3)), first)


def test_views_are_the_same_under_autocast() -> None:
    images, make_views = random_images(), SimCLRDistortions(blur_kernel=5)
    expected = make_views(images, batch_random_for(len(images)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        views = make_views(images, batch_random_for(len(images)))
    assert views.dtype == torch.float32
    assert torch.equal(views, expected)


def test_views_do_not_use_the_global_generator_or_change_their_input() -> None:
    images, photo = random_images(), random_photo()
    before, images_before, photo_before = torch.get_rng_state(), images.clone(), photo.tobytes()
    SimCLRDistortions(blur_kernel=5)(images, batch_random_for(len(images)))
    SimCLRViews(size=32)(photo, seeded())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, images_before)
    assert photo.tobytes() == photo_before


@pytest.mark.parametrize("make_view", [SimCLRViews(size=24, jitter=0.3), SimCLRCrops(size=24)])
def test_pickled_sample_views_give_the_same_views(make_view: SimCLRCrops) -> None:
    copy = pickle.loads(pickle.dumps(make_view))
    assert torch.equal(copy(random_photo(), seeded()), make_view(random_photo(), seeded()))


@pytest.mark.parametrize("kind", [SimCLRViews, SimCLRDistortions])
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jitter", -0.1),
        ("hue", 0.6),
        ("hue", -0.1),
        ("jitter_probability", 1.1),
        ("grey_probability", -0.1),
        ("flip_probability", float("nan")),
        ("blur_probability", 2.0),
        ("blur_kernel", 4),
        ("blur_kernel", -1),
        ("blur_sigma", (0.0, 1.0)),
        ("blur_sigma", (2.0, 1.0)),
    ],
)
def test_the_error_names_a_distortion_out_of_range(
    kind: Callable[..., object], setting: str, value: float | tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match=setting):
        kind(**{setting: value})


@pytest.mark.parametrize("kind", [SimCLRViews, SimCLRCrops])
@pytest.mark.parametrize(
    ("setting", "value"),
    [("size", 0), ("min_area", 0.0), ("min_area", 1.1), ("max_aspect_ratio", 0.5), ("num_views", 0)],
)
def test_the_error_names_a_crop_setting_out_of_range(
    kind: Callable[..., object], setting: str, value: float
) -> None:
    with pytest.raises(ValueError, match=setting):
        kind(**{setting: value})


def test_the_error_names_a_blur_larger_than_the_view() -> None:
    with pytest.raises(ValueError, match="blur_kernel"):
        SimCLRViews(size=11)
    assert SimCLRViews(size=12)(random_photo(), seeded()).shape == (3, 12, 12)


@pytest.mark.parametrize("channels", [1, 3])
def test_distortions_for_devices_equal_those_for_the_cpu(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On devices every change is computed for all images, because choosing some would synchronise the device."""
    images, settings = random_images(40, channels), SimCLRDistortions(blur_kernel=5, blur_probability=0.5)
    expected = settings(images, batch_random_for(len(images)))
    monkeypatch.setattr(simclr_views, "is_cpu", lambda tensor: False)
    found = settings(images, batch_random_for(len(images)))
    # Vector and scalar instructions of the CPU round the last bit differently.
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_distortions_read_no_value_of_a_device(channels: int) -> None:
    images = torch.empty(6, channels, 16, 16, device="meta")
    views = SimCLRDistortions(blur_kernel=5)(images, MetaRandom(len(images)))
    assert views.shape == images.shape
