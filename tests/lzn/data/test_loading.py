"""Loading batches: in one process or with workers, from the first step or resumed, the batches are the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lzn_testing.data.image_files import encode
from lzn_testing.data.numbered_images import NUM_IMAGES, encoded_shard, numbered_images, numbered_set
from lzn_testing.models.sample_views import FailsOn, NoisyCopies
from numpy.typing import NDArray

from lzn.base.parallel import Processes
from lzn.data import (
    ImageLoadingError,
    ImageSet,
    LoadedBatch,
    PixelShards,
    SampleViews,
    SimCLRCrops,
    SimCLRViews,
    batch_indices,
    load_batches,
)
from lzn.data.decoding import image_from_array
from lzn.data.loading import MAX_PART_SIZE


def load(data: ImageSet, **changes: Any) -> list[LoadedBatch]:
    settings: dict[str, Any] = {"batch_size": 5, "seed": 3, "first_step": 0, "num_steps": 7}
    return list(load_batches(data, **{**settings, **changes}))


def assert_same(batches: list[LoadedBatch], expected: list[LoadedBatch]) -> None:
    assert len(batches) == len(expected)
    for batch, expected_batch in zip(batches, expected, strict=True):
        assert torch.equal(batch.images, expected_batch.images)
        assert torch.equal(batch.labels, expected_batch.labels)


def test_a_batch_holds_the_images_and_labels_of_its_indices() -> None:
    data = numbered_set(channels=3)
    batches = load(data, first_step=2, num_steps=9)
    assert len(batches) == 7
    for step, batch in enumerate(batches, start=2):
        indices = batch_indices(step, num_samples=NUM_IMAGES, batch_size=5, seed=3).numpy()
        assert (batch.images.dtype, batch.labels.dtype) == (torch.uint8, torch.int64)
        np.testing.assert_array_equal(batch.images.numpy(), np.asarray(data.images)[indices])
        np.testing.assert_array_equal(batch.labels.numpy(), indices * 10)


@pytest.mark.parametrize("views", [None, NoisyCopies()])
def test_a_resumed_run_gets_the_same_batches_as_an_uninterrupted_one(views: SampleViews | None) -> None:
    whole = load(numbered_set(), views=views)
    assert_same(load(numbered_set(), views=views, first_step=4), whole[4:])
    assert load(numbered_set(), views=views, first_step=7) == []


@pytest.mark.parametrize(
    ("num_workers", "views"),
    [(0, None), (0, NoisyCopies()), (1, NoisyCopies())],
    ids=["images", "views", "workers"],
)
def test_training_processes_load_their_own_rows_of_the_same_batches(
    views: SampleViews | None, num_workers: int
) -> None:
    whole = load(numbered_set(), views=views)
    parts = [
        load(numbered_set(), views=views, num_workers=num_workers, processes=Processes(rank, 2))
        for rank in range(2)
    ]
    assert [len(part[0].images) for part in parts] == [2, 3]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([share.images for share in shares]), batch.images)
        assert torch.equal(torch.cat([share.labels for share in shares]), batch.labels)


def test_more_processes_than_samples_in_a_batch_are_an_error() -> None:
    with pytest.raises(ValueError, match="a batch of 5 is too small for 6 processes"):
        load(numbered_set(), processes=Processes(0, 6))


def test_workers_load_the_same_batches_as_this_process() -> None:
    data, views = numbered_set(), NoisyCopies(num_views=3)
    expected = load(data, views=views)
    before = torch.get_rng_state()
    assert_same(load(data, views=views, num_workers=2), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_large_batches_are_loaded_in_parts_and_concatenated_in_order() -> None:
    settings = {"batch_size": 2 * MAX_PART_SIZE + 44, "num_steps": 2}
    data = numbered_set(2 * MAX_PART_SIZE + 60)
    assert_same(load(data, num_workers=1, **settings), load(data, **settings))


def test_batches_have_a_dimension_for_views() -> None:
    (batch,) = load(numbered_set(), num_steps=1, views=NoisyCopies(num_views=3))
    assert batch.images.shape == (5, 3, 1, 4, 4)
    (single,) = load(numbered_set(), num_steps=1, views=NoisyCopies(num_views=1))
    assert single.images.shape == (5, 1, 1, 4, 4)
    # The number of views does not change the first one.
    assert torch.equal(single.images[:, 0], batch.images[:, 0])


def test_views_differ_between_steps_images_view_numbers_and_seeds() -> None:
    data = ImageSet(np.zeros((10, 1, 4, 4), np.uint8), np.zeros(10, np.int64))
    batches = load(data, batch_size=10, num_steps=3, views=NoisyCopies())
    noise = torch.cat([batch.images.flatten(0, 1) for batch in batches])
    assert len(noise.unique(dim=0)) == 3 * 10 * 2
    other_seed = torch.cat(
        [b.images.flatten(0, 1) for b in load(data, batch_size=10, num_steps=3, views=NoisyCopies(), seed=4)]
    )
    assert len(torch.cat([noise, other_seed]).unique(dim=0)) == 2 * len(noise)


def test_a_view_does_not_depend_on_the_image_position_in_the_batch() -> None:
    data = numbered_set(10)
    by_number: dict[int, torch.Tensor] = {}
    # Step 0 of both batch sizes shares one image, with other neighbours; its views must be equal.
    for batch_size in (1, 10):
        (batch,) = load(data, batch_size=batch_size, num_steps=1, views=NoisyCopies())
        for label, views in zip(batch.labels.tolist(), batch.images, strict=True):
            assert torch.equal(by_number.setdefault(label, views), views)
    assert len(by_number) == 10


def test_loading_does_not_use_the_global_generator() -> None:
    before = torch.get_rng_state()
    load(numbered_set(), views=NoisyCopies())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_in_a_view_names_the_image(num_workers: int) -> None:
    with pytest.raises(ImageLoadingError, match="image 17 of the data set cannot be loaded: no view of this"):
        load(numbered_set(), batch_size=NUM_IMAGES, views=FailsOn(17), num_workers=num_workers)


def png(pixels: NDArray[np.uint8]) -> bytes:
    return encode(image_from_array(pixels), "PNG")


@pytest.fixture
def photos() -> NDArray[np.uint8]:
    return numbered_images(6, channels=3, size=16)


@pytest.mark.parametrize(
    ("num_workers", "views"), [(0, None), (0, SimCLRViews(size=12, blur_kernel=5)), (1, SimCLRCrops(size=12))]
)
def test_images_on_disk_and_in_memory_give_the_same_batches(
    tmp_path: Path, photos: NDArray[np.uint8], views: SampleViews | None, num_workers: int
) -> None:
    labels = np.arange(6, dtype=np.int64)
    np.save(tmp_path / "pixels.npy", photos)
    pixels = PixelShards([tmp_path / "pixels.npy"], [6], image_shape=(3, 16, 16))
    encoded = encoded_shard(tmp_path, [png(photo) for photo in photos])
    settings: dict[str, Any] = {"batch_size": 2, "num_steps": 4, "views": views}
    expected = load(ImageSet(photos, labels), **settings)
    for images in (pixels, encoded):
        assert_same(load(ImageSet(images, labels), num_workers=num_workers, **settings), expected)


@pytest.mark.parametrize(("num_workers", "views"), [(0, None), (0, NoisyCopies()), (1, None)])
def test_the_error_names_a_damaged_file(
    tmp_path: Path, photos: NDArray[np.uint8], views: SampleViews | None, num_workers: int
) -> None:
    contents = [png(photo) for photo in photos]
    contents[4] = contents[4][: len(contents[4]) // 2]
    data = ImageSet(encoded_shard(tmp_path, contents), np.arange(6, dtype=np.int64))
    with pytest.raises(ImageLoadingError, match=r"image 4 of the data set cannot be loaded: .*decoded"):
        load(data, batch_size=6, num_workers=num_workers, views=views)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"batch_size": NUM_IMAGES + 1}, r"batch_size must lie in \[1, 23\]"),
        ({"batch_size": 0}, r"batch_size must lie in \[1, 23\]"),
        ({"first_step": -1}, "first_step.*got -1, 0"),
        ({"num_workers": -1}, "num_workers.*got 0, -1"),
        ({"views": NoisyCopies(num_views=0)}, "num_views must be at least 1"),
    ],
)
def test_wrong_arguments_are_an_error_before_anything_is_loaded(
    change: dict[str, Any], complaint: str
) -> None:
    settings: dict[str, Any] = {"batch_size": 5, "seed": 0, "first_step": 0, "num_steps": 1}
    with pytest.raises(ValueError, match=complaint):
        load_batches(numbered_set(), **{**settings, **change})
