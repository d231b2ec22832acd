"""Batches of training steps: the same for every first step, number of workers and number of processes."""

import numpy as np
import pytest
import torch
from lzn_testing.models.sample_views import NoisyCopies
from lzn_testing.models.toy_training import run_toy, toy_images, toy_schedule

from lzn.base.parallel import Processes
from lzn.data import ImageSet, batch_indices, dequantise
from lzn.training import Batch, ImageBatches


def batches(
    *,
    first_step: int = 0,
    num_workers: int = 0,
    views: NoisyCopies | None = None,
    seed: int = 0,
    flips: bool = False,
    data: ImageSet | None = None,
    processes: Processes = Processes(),  # noqa: B008 - immutable
) -> list[Batch]:
    together = ImageBatches(
        data=data or toy_images(),
        schedule=toy_schedule(num_steps=7, random_flips=flips),
        seed=seed,
        num_workers=num_workers,
        views=views,
    )
    return list(together.from_step(first_step, processes=processes))


def assert_same(actual: list[Batch], expected: list[Batch]) -> None:
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


def test_a_batch_holds_the_images_of_its_step_in_minus_1_to_1() -> None:
    data = toy_images()
    for step, batch in enumerate(batches(seed=3)):
        chosen = batch_indices(step, num_samples=len(data), batch_size=8, seed=3).numpy()
        assert torch.equal(batch.images, dequantise(data.images[chosen]))
        assert batch.labels.tolist() == data.labels[chosen].tolist()


@pytest.mark.parametrize("views", [None, NoisyCopies()], ids=["images", "views"])
@pytest.mark.parametrize("first_step", [0, 3, 6])
def test_batches_do_not_depend_on_the_first_step(views: NoisyCopies | None, first_step: int) -> None:
    expected = batches(views=views, flips=True)[first_step:]
    assert_same(batches(first_step=first_step, views=views, flips=True), expected)


@pytest.mark.parametrize("views", [None, NoisyCopies()], ids=["images", "views"])
def test_training_processes_share_each_batch_with_its_flips(views: NoisyCopies | None) -> None:
    whole = batches(views=views, flips=True)
    parts = [batches(views=views, flips=True, processes=Processes(rank, 3)) for rank in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([share.images for share in shares]), batch.images)
        assert torch.equal(torch.cat([share.labels for share in shares]), batch.labels)
        assert [len(share.images) for share in shares] == [2, 3, 3]


def test_a_finished_run_has_no_batches() -> None:
    assert batches(first_step=7) == []


def test_batches_do_not_depend_on_the_number_of_workers() -> None:
    loaded = batches(num_workers=2, views=NoisyCopies(), flips=True)
    assert_same(loaded, batches(views=NoisyCopies(), flips=True))


def test_each_loaded_view_is_flipped_independently() -> None:
    plain, flipped = batches(views=NoisyCopies()), batches(views=NoisyCopies(), flips=True)
    assert all(batch.images.shape == (8, 2, 1, 4, 4) for batch in plain)
    assert all(-1 <= batch.images.min() <= batch.images.max() <= 1 for batch in plain)
    before, after = (torch.cat([batch.images for batch in loaded]) for loaded in (plain, flipped))
    is_flipped = (after == before.flip(-1)).flatten(2).all(dim=2)
    is_same = (after == before).flatten(2).all(dim=2)
    assert bool((is_flipped ^ is_same).all())
    assert bool((is_flipped[:, 0] != is_flipped[:, 1]).any())


@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_memory_layout_channels_last(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (16, channels, 6, 6), dtype=np.uint8)
    data = ImageSet(images, np.zeros(16, dtype=np.int64))
    batch = batches(data=data)[0]
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_each_view_has_the_memory_layout_channels_last() -> None:
    for view in batches(views=NoisyCopies())[0].images.unbind(1):
        assert view[:1].is_contiguous(memory_format=torch.channels_last)


def test_a_training_does_not_depend_on_the_number_of_workers() -> None:
    schedule = toy_schedule(random_flips=True)
    assert run_toy(schedule=schedule, num_workers=1) == run_toy(schedule=schedule)


def test_fewer_images_than_a_batch_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"batch_size must lie in \[1, 4\]"):
        batches(data=toy_images(4))
