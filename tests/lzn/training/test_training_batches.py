"""From stored images to the batches of training steps: the same ones wherever a run begins and whoever loads them."""

import numpy as np
import pytest
import torch
from lzn_testing.models.sample_views import NoisyCopies
from lzn_testing.models.toy_training import run_toy, toy_images, toy_schedule

from lzn.base.parallel import Processes
from lzn.data import ImageSet, batch_indices, dequantise
from lzn.training import Batch
from lzn.training.feeding import training_batches


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
    return list(
        training_batches(
            data or toy_images(),
            toy_schedule(num_steps=7, random_flips=flips),
            seed=seed,
            first_step=first_step,
            device="cpu",
            num_workers=num_workers,
            views=views,
            processes=processes,
        )
    )


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


def test_a_batch_is_that_of_its_step_in_minus_1_to_1() -> None:
    data = toy_images()
    for step, batch in enumerate(batches(seed=3)):
        chosen = batch_indices(step, num_samples=len(data), batch_size=8, seed=3).numpy()
        assert torch.equal(batch.images, dequantise(data.images[chosen]))
        assert batch.labels.tolist() == data.labels[chosen].tolist()


@pytest.mark.parametrize("views", [None, NoisyCopies()], ids=["images", "views"])
@pytest.mark.parametrize("first_step", [0, 3, 6])
def test_where_a_run_begins_does_not_matter(views: NoisyCopies | None, first_step: int) -> None:
    expected = batches(views=views, flips=True)[first_step:]
    assert_same(batches(first_step=first_step, views=views, flips=True), expected)


@pytest.mark.parametrize("views", [None, NoisyCopies()], ids=["images", "views"])
def test_processes_that_train_together_share_each_batch_with_its_flips(views: NoisyCopies | None) -> None:
    whole = batches(views=views, flips=True)
    parts = [batches(views=views, flips=True, processes=Processes(rank, 3)) for rank in range(3)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([share.images for share in shares]), batch.images)
        assert torch.equal(torch.cat([share.labels for share in shares]), batch.labels)
        assert [share.share.rows for share in shares] == [slice(0, 2), slice(2, 5), slice(5, 8)]


def test_a_run_that_is_over_gets_no_batch() -> None:
    assert batches(first_step=7) == []


def test_the_number_of_workers_does_not_matter() -> None:
    found = batches(num_workers=2, views=NoisyCopies(), flips=True)
    assert_same(found, batches(views=NoisyCopies(), flips=True))


def test_loaded_views_are_a_batch_of_views_each_flipped_by_itself() -> None:
    plain, flipped = batches(views=NoisyCopies()), batches(views=NoisyCopies(), flips=True)
    assert all(batch.images.shape == (8, 2, 1, 4, 4) for batch in plain)
    assert all(-1 <= batch.images.min() <= batch.images.max() <= 1 for batch in plain)
    before, after = (torch.cat([batch.images for batch in found]) for found in (plain, flipped))
    mirrored = (after == before.flip(-1)).flatten(2).all(dim=2)
    same = (after == before).flatten(2).all(dim=2)
    assert bool((mirrored ^ same).all())
    assert bool((mirrored[:, 0] != mirrored[:, 1]).any())


@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_single_views_have_the_memory_layout_of_convolutions(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (16, channels, 6, 6), dtype=np.uint8)
    data = ImageSet(images, np.zeros(16, dtype=np.int64))
    batch = batches(data=data)[0]
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_views_taken_apart_have_the_memory_layout_of_convolutions() -> None:
    for view in batches(views=NoisyCopies())[0].images.unbind(1):
        assert view[:1].is_contiguous(memory_format=torch.channels_last)


def test_a_training_does_not_depend_on_who_loads_its_images() -> None:
    schedule = toy_schedule(random_flips=True)
    assert run_toy(schedule=schedule, num_workers=1) == run_toy(schedule=schedule)


def test_images_that_cannot_make_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_size must lie in \[1, 4\]"):
        batches(data=toy_images(4))
