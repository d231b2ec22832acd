"""Random horizontal flips."""

import torch
from lzn_testing.random_numbers import batch_random_for, seeded
from torch import Tensor

from lzn.data import random_flips


def random_images(num: int, channels: int = 1) -> Tensor:
    return torch.rand(num, channels, 8, 8, generator=seeded(1)) * 2 - 1


def flipped_with(images: Tensor, seed: int) -> Tensor:
    return random_flips(images, batch_random_for(len(images), seed))


def test_about_half_of_the_images_are_flipped_and_the_others_do_not_change() -> None:
    images = random_images(1000, channels=2)
    flipped = flipped_with(images, 0)
    is_mirror = (flipped == images.flip(3)).flatten(1).all(dim=1)
    is_same = (flipped == images).flatten(1).all(dim=1)
    assert bool((is_mirror ^ is_same).all())
    # The standard deviation of 1000 fair coins is 15.8; the tolerance is 5 of them.
    assert abs(int(is_mirror.sum()) - 500) < 79


def test_the_seed_determines_the_flips() -> None:
    images = random_images(50)
    assert torch.equal(flipped_with(images, 2), flipped_with(images, 2))
    assert not torch.equal(flipped_with(images, 2), flipped_with(images, 3))


def test_flips_do_not_use_the_global_generator() -> None:
    before = torch.get_rng_state()
    flipped_with(random_images(5), 0)
    assert torch.equal(torch.get_rng_state(), before)
