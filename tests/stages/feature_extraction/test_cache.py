"""Features are computed once, also after a killed process and with several processes."""

import json
import os
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from lzn_testing.models.counting_features import CountingExtractor, counting_extractor
from numpy.typing import NDArray

from lzn.data import ImageSubset, PixelShards
from stages.feature_extraction.cache import FeatureCache, images_sha256, trim
from stages.feature_extraction.extraction import Workers

CPU = torch.device("cpu")
NUM_IMAGES = 35  # three and a half batches


def images(seed: int = 0, number: int = NUM_IMAGES) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, size=(number, 1, 8, 8)).astype(np.uint8)


def features(
    folder: Path, extractor: CountingExtractor, *, processes: int | None = None
) -> NDArray[np.float32]:
    return FeatureCache(folder, Workers(CPU, processes)).of(images()).by(extractor)["features"]


def only_file(folder: Path) -> Path:
    (file,) = folder.glob("*.f32")
    return file


def test_features_are_those_of_the_network_and_computed_once(tmp_path: Path) -> None:
    extractor = counting_extractor()
    first, again = (features(tmp_path, extractor) for _ in range(2))
    assert extractor.extracted_sizes == [10, 10, 10, 5]
    whole = extractor.extract(extractor.prepare(images())).numpy()
    # The batch size differs: float32 rounding of features of magnitude 1.
    np.testing.assert_allclose(first, whole, rtol=0, atol=1e-6)
    assert np.array_equal(first, again)
    assert first.dtype == np.float32
    assert isinstance(first.base, np.memmap)


def test_the_hash_of_images_does_not_depend_on_how_they_are_stored(tmp_path: Path) -> None:
    np.save(tmp_path / "shard.npy", images())
    shards = PixelShards([tmp_path / "shard.npy"], [NUM_IMAGES], image_shape=(1, 8, 8))
    backwards = ImageSubset(images()[::-1], np.arange(NUM_IMAGES)[::-1].copy())
    assert images_sha256(shards) == images_sha256(backwards) == images_sha256(images())


def test_other_images_orders_shapes_and_weights_have_other_hashes_and_files(tmp_path: Path) -> None:
    others = (images(), images(1), images()[::-1], images().reshape(NUM_IMAGES, 1, 4, 16))
    assert len({images_sha256(one) for one in others}) == len(others)
    cache = FeatureCache(tmp_path, Workers(CPU))
    for seed in (0, 1):
        cache.of(images()).by(counting_extractor(seed=seed))
    assert len(list(tmp_path.glob("*.f32"))) == 2


@pytest.mark.parametrize("damage", ["truncated", "changed", "description lost", "description damaged"])
def test_a_damaged_file_is_computed_again(tmp_path: Path, damage: str) -> None:
    expected = np.array(features(tmp_path, counting_extractor()))
    file = only_file(tmp_path)
    if damage == "truncated":
        os.truncate(file, file.stat().st_size - 4)
    if damage == "changed":
        content = bytearray(file.read_bytes())
        content[17] ^= 1
        file.write_bytes(content)
    if damage == "description lost":
        file.with_suffix(".json").unlink()
    if damage == "description damaged":
        file.with_suffix(".json").write_text("{")
    extractor = counting_extractor()
    assert np.array_equal(features(tmp_path, extractor), expected)
    assert sum(extractor.extracted_sizes) == NUM_IMAGES
    assert json.loads(file.with_suffix(".json").read_text())["shape"] == [NUM_IMAGES, 6]


def _die_at_third_batch(folder: Path) -> None:
    features(folder, counting_extractor(dies_at=2))


def test_a_killed_extraction_continues_after_its_last_batch(tmp_path: Path) -> None:
    process = get_context("fork").Process(target=_die_at_third_batch, args=(tmp_path / "killed",))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert not list((tmp_path / "killed").glob("*.f32"))
    extractor = counting_extractor()
    resumed = features(tmp_path / "killed", extractor)
    assert extractor.extracted_sizes == [10, 5]
    features(tmp_path / "whole", counting_extractor())
    assert only_file(tmp_path / "killed").read_bytes() == only_file(tmp_path / "whole").read_bytes()
    assert np.isfinite(resumed).all()
    assert not list((tmp_path / "killed").glob("*.partial"))


def _make_and_count(folder: Path, counts: Path) -> None:
    extractor = counting_extractor()
    made = features(folder, extractor)
    np.save(counts / f"{os.getpid()}.npy", np.array([len(extractor.extracted_sizes), *made.ravel()]))


def test_of_two_processes_that_need_the_same_features_one_computes_them(tmp_path: Path) -> None:
    (tmp_path / "counts").mkdir()
    arguments = (tmp_path / "cache", tmp_path / "counts")
    processes = [get_context("fork").Process(target=_make_and_count, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    first, second = (np.load(file) for file in (tmp_path / "counts").iterdir())
    assert first[0] + second[0] == 4
    assert np.array_equal(first[1:], second[1:])


@pytest.mark.slow  # processes that import torch
def test_one_process_and_two_write_the_same_bytes(tmp_path: Path) -> None:
    cache = [FeatureCache(tmp_path / str(count), Workers(CPU, count)) for count in (1, 2)]
    np.save(tmp_path / "images.npy", images())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    extractors = [counting_extractor(), counting_extractor()]
    for one, extractor in zip(cache, extractors, strict=True):
        one.of(mapped).by(extractor)
    # The second one ran in other processes.
    assert [len(extractor.extracted_sizes) for extractor in extractors] == [4, 0]
    alone, together = only_file(tmp_path / "1"), only_file(tmp_path / "2")
    assert alone.name == together.name
    assert alone.read_bytes() == together.read_bytes()


def test_trimming_deletes_the_least_recently_used_file(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, Workers(CPU))
    for seed in (0, 1, 2):
        cache.of(images(seed)).by(counting_extractor())
    files = sorted(tmp_path.glob("*.f32"), key=lambda file: file.stat().st_mtime_ns)
    for age, file in enumerate(files):
        os.utime(file, (1000 + age, 1000 + age))
    cache.of(images(0)).by(counting_extractor())  # uses the oldest one
    size = files[0].stat().st_size
    assert size == NUM_IMAGES * 6 * 4
    removed = trim(tmp_path, max_bytes=2 * size)
    assert removed == [files[1]]
    assert set(tmp_path.glob("*.f32")) == {files[0], files[2]}
    assert trim(tmp_path, max_bytes=2 * size) == []
