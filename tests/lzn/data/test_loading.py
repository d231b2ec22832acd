"""Loading batches: in this process or by workers, from the beginning or from where a run resumes, the same batches."""

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from lzn_testing import PROJECT
from lzn_testing.models.sample_views import FailsOn, NoisyCopies, ProcessFacts, SleepsOn
from numpy.typing import NDArray

from lzn.base.parallel import Processes
from lzn.data import (
    DecodedImages,
    EncodedShards,
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
from lzn.data.loading import MAX_PART_SIZE

NUM_IMAGES = 23


def numbered_images(num: int = NUM_IMAGES, channels: int = 1, size: int = 4) -> NDArray[np.uint8]:
    """Random images whose first pixel is their number."""
    images = np.random.default_rng(0).integers(0, 256, (num, channels, size, size), dtype=np.uint8)
    images[:, :, 0, 0] = np.arange(num)[:, None] % 256
    return images


def numbered_set(num: int = NUM_IMAGES, channels: int = 1, size: int = 4) -> ImageSet:
    return ImageSet(numbered_images(num, channels, size), np.arange(num, dtype=np.int64) * 10)


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
def test_a_resumed_run_gets_the_batches_that_it_would_have_got(views: SampleViews | None) -> None:
    whole = load(numbered_set(), views=views)
    assert_same(load(numbered_set(), views=views, first_step=4), whole[4:])
    assert load(numbered_set(), views=views, first_step=7) == []


@pytest.mark.parametrize("views", [None, NoisyCopies()], ids=["images", "views"])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_processes_that_train_together_load_their_own_rows_of_the_same_batches(
    views: SampleViews | None, num_workers: int
) -> None:
    whole = load(numbered_set(), views=views)
    parts = [
        load(numbered_set(), views=views, num_workers=num_workers, processes=Processes(rank, 3))
        for rank in range(3)
    ]
    assert [len(part[0].images) for part in parts] == [1, 2, 2]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([share.images for share in shares]), batch.images)
        assert torch.equal(torch.cat([share.labels for share in shares]), batch.labels)


def test_more_processes_than_samples_in_a_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 5 cannot be shared by 6 processes"):
        load(numbered_set(), processes=Processes(0, 6))


def test_workers_load_what_this_process_loads() -> None:
    data, views = numbered_set(), NoisyCopies(num_views=3)
    expected = load(data, views=views)
    before = torch.get_rng_state()
    assert_same(load(data, views=views, num_workers=2), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_large_batches_are_loaded_in_parts_and_put_together_in_order() -> None:
    settings = {"batch_size": 2 * MAX_PART_SIZE + 44, "num_steps": 2}
    data = numbered_set(2 * MAX_PART_SIZE + 60)
    assert_same(load(data, num_workers=1, **settings), load(data, **settings))


def test_views_have_a_dimension_of_their_own() -> None:
    (batch,) = load(numbered_set(), num_steps=1, views=NoisyCopies(num_views=3))
    assert batch.images.shape == (5, 3, 1, 4, 4)
    (single,) = load(numbered_set(), num_steps=1, views=NoisyCopies(num_views=1))
    assert single.images.shape == (5, 1, 1, 4, 4)
    # The number of views does not change the first one.
    assert torch.equal(single.images[:, 0], batch.images[:, 0])


def test_every_view_of_every_image_in_every_step_is_random_on_its_own() -> None:
    data = ImageSet(np.zeros((10, 1, 4, 4), np.uint8), np.zeros(10, np.int64))
    batches = load(data, batch_size=10, num_steps=3, views=NoisyCopies())
    noise = torch.cat([batch.images.flatten(0, 1) for batch in batches])
    assert len(noise.unique(dim=0)) == 3 * 10 * 2
    other_seed = torch.cat(
        [b.images.flatten(0, 1) for b in load(data, batch_size=10, num_steps=3, views=NoisyCopies(), seed=4)]
    )
    assert len(torch.cat([noise, other_seed]).unique(dim=0)) == 2 * len(noise)


def test_a_view_depends_on_the_image_and_not_on_its_place_in_the_batch() -> None:
    data = numbered_set(10)
    by_number: dict[int, torch.Tensor] = {}
    # Batches of one and of ten have other neighbours; in step 0 each image that both hold has the same views.
    for batch_size in (1, 10):
        (batch,) = load(data, batch_size=batch_size, num_steps=1, views=NoisyCopies())
        for label, views in zip(batch.labels.tolist(), batch.images, strict=True):
            assert torch.equal(by_number.setdefault(label, views), views)
    assert len(by_number) == 10


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    load(numbered_set(), views=NoisyCopies())
    assert torch.equal(torch.get_rng_state(), before)


def facts_of(batch: LoadedBatch) -> list[tuple[int, int]]:
    """Process id and number of threads where each image was loaded."""
    return [
        (int.from_bytes(bytes(facts[:8].tolist()), "little"), int(facts[8]))
        for facts in batch.images.flatten(1)
    ]


def is_gone_within_a_minute(process_id: int) -> bool:
    for _ in range(600):
        if not Path(f"/proc/{process_id}").exists():
            return True
        time.sleep(0.1)
    return False


def test_workers_are_single_threaded_stay_for_the_whole_run_and_end_with_it() -> None:
    # 23 images in batches of 5 are 4 steps an epoch: 12 steps are three of them.
    batches = load_batches(
        numbered_set(), batch_size=5, seed=0, first_step=0, num_steps=12, num_workers=2, views=ProcessFacts()
    )
    facts = [fact for batch in batches for fact in facts_of(batch)]
    process_ids = {process_id for process_id, _ in facts}
    assert {num_threads for _, num_threads in facts} == {1}
    assert len(process_ids) == 2
    assert os.getpid() not in process_ids
    for process_id in process_ids:
        assert is_gone_within_a_minute(process_id)


def test_closing_ends_the_workers_and_without_workers_nothing_is_started() -> None:
    settings: dict[str, Any] = {"batch_size": 5, "seed": 0, "first_step": 0, "num_steps": 1000}
    with closing(load_batches(numbered_set(), num_workers=1, views=ProcessFacts(), **settings)) as batches:
        process_ids = {process_id for process_id, _ in facts_of(next(batches))}
    for process_id in process_ids:
        assert is_gone_within_a_minute(process_id)
    with closing(load_batches(numbered_set(), views=ProcessFacts(), **settings)) as batches:
        assert {process_id for process_id, _ in facts_of(next(batches))} == {os.getpid()}


def test_a_worker_that_is_busy_ends_when_the_parent_closes() -> None:
    settings: dict[str, Any] = {"batch_size": 1, "seed": 0}
    (second,) = batch_indices(1, num_samples=NUM_IMAGES, **settings).tolist()
    batches = load_batches(
        numbered_set(), first_step=0, num_steps=20, num_workers=1, views=SleepsOn(second), **settings
    )
    ((process_id, _),) = facts_of(next(batches))
    batches.close()
    assert is_gone_within_a_minute(process_id)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_in_a_view_names_the_image(num_workers: int) -> None:
    with pytest.raises(ImageLoadingError, match="image 17 of the data set cannot be loaded: no view of this"):
        load(numbered_set(), batch_size=NUM_IMAGES, views=FailsOn(17), num_workers=num_workers)


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels.transpose(1, 2, 0)).save(buffer, format="png")
    return buffer.getvalue()


def encoded_shard(folder: Path, contents: list[bytes]) -> DecodedImages:
    (folder / "images.bin").write_bytes(b"".join(contents))
    np.save(folder / "images_offsets.npy", np.cumsum([0, *map(len, contents)]))
    shards = EncodedShards([folder / "images.bin"], [len(contents)], num_channels=3)
    return DecodedImages(shards, shape=(3, 16, 16))


@pytest.fixture
def photos() -> NDArray[np.uint8]:
    return numbered_images(6, channels=3, size=16)


@pytest.mark.parametrize(
    ("num_workers", "views"), [(0, None), (0, SimCLRViews(size=12, blur_kernel=5)), (2, SimCLRCrops(size=12))]
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
def test_a_damaged_file_is_named(
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
def test_what_cannot_be_is_refused_before_anything_is_loaded(change: dict[str, Any], complaint: str) -> None:
    settings: dict[str, Any] = {"batch_size": 5, "seed": 0, "first_step": 0, "num_steps": 1}
    with pytest.raises(ValueError, match=complaint):
        load_batches(numbered_set(), **{**settings, **change})


GROUP_WATCHER = """
import signal, sys
import numpy as np
from lzn.data import ImageSet, load_batches
from lzn_testing.models.sample_views import ProcessFacts

if __name__ == "__main__":
    noted = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: noted.append(number))
    data = ImageSet(np.zeros((8, 1, 4, 4), np.uint8), np.zeros(8, np.int64))
    batches = load_batches(
        data, batch_size=4, seed=0, first_step=0, num_steps=10**6, num_workers=2, views=ProcessFacts()
    )
    print("starting", flush=True)
    for number, batch in enumerate(batches):
        if len(noted) == 3 and number > 50:
            break
    print(len({tuple(facts.flatten().tolist()) for facts in batch.images}), flush=True)
    batches.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("wait", ["starting", "running"])
def test_a_signal_to_the_whole_group_ends_no_worker(tmp_path: Path, wait: str) -> None:
    """Ctrl-C and schedulers signal every process; the parent decides what that means, and may need more batches."""
    script = tmp_path / "watcher.py"
    script.write_text(GROUP_WATCHER)
    root = PROJECT
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}", "OMP_NUM_THREADS": "1"},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "starting\n"
        # Workers import torch for seconds: the first signals reach them before they run any of our code.
        time.sleep(0.5 if wait == "starting" else 8.0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.killpg(process.pid, number)
        assert process.stdout.readline() == "2\n"
    assert process.returncode == 0
