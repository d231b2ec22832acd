"""Mean and covariance of the features of real images: one file for all runs and stages."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lzn.metrics import fit_gaussian, frechet_distance
from lzn.networks import ImageClassifier
from stages.feature_extraction.cache import FeatureCache, trim
from stages.feature_extraction.classifier_comparison import ClassifierComparison
from stages.feature_extraction.extraction import Workers
from stages.feature_extraction.extractors import ClassifierExtractor

torch.manual_seed(0)
EXTRACTOR = ClassifierExtractor(
    ImageClassifier(image_size=8, image_channels=1, num_classes=3, base_channels=8, feature_dim=4).eval(),
    "ab" * 32,
)


def images(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)


def comparison(folder: Path) -> ClassifierComparison:
    return ClassifierComparison(EXTRACTOR, FeatureCache(folder, Workers(torch.device("cpu"))))


def distance(folder: Path, generated: int) -> float:
    found = comparison(folder)(images(0), images(generated), data_name="x", num_neighbours=3)["fd_x"]
    assert isinstance(found, float)
    return found


def test_two_runs_and_the_stage_steps_share_one_file_whose_recipe_is_beside_it(tmp_path: Path) -> None:
    first = distance(tmp_path, 1)
    (file,) = tmp_path.glob("*.npz")
    written_at = file.stat().st_ino
    distance(tmp_path, 2)
    by_steps = comparison(tmp_path).distance(images(0), images(1), data_name="x")["fd_x"]
    assert by_steps == first
    assert [one.stat().st_ino for one in tmp_path.glob("*.npz")] == [written_at]
    recipe = json.loads(file.with_suffix(".json").read_text())
    assert (recipe["made_by"], recipe["count"], recipe["features"]) == (
        f"classifier {'ab' * 32}",
        40,
        "features",
    )
    assert (
        recipe["images_sha256"] == FeatureCache(tmp_path, Workers(torch.device("cpu"))).of(images(0)).sha256
    )


def test_the_distance_is_that_of_the_features_bit_for_bit(tmp_path: Path) -> None:
    found = [distance(tmp_path, 1) for _ in range(2)]  # computed, then read
    cache = FeatureCache(tmp_path, Workers(torch.device("cpu")))
    real, generated = (fit_gaussian(cache.of(images(seed)).by(EXTRACTOR)["features"]) for seed in (0, 1))
    assert found == [frechet_distance(real, generated)] * 2


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    found = distance(tmp_path, 1)
    (file,) = tmp_path.glob("*.npz")
    content = file.read_bytes()
    file.write_bytes(content[:-9] if damage == "truncated" else content[:-400] + bytes(400))
    assert distance(tmp_path, 1) == found


def test_trimming_deletes_statistics_too(tmp_path: Path) -> None:
    distance(tmp_path, 1)
    (file,) = tmp_path.glob("*.npz")
    os.utime(file, (0, 0))
    size = sum(one.stat().st_size for suffix in ("f32", "npz") for one in tmp_path.glob(f"*.{suffix}"))
    assert trim(tmp_path, max_bytes=size - 1) == [file]
    assert not file.with_suffix(".json").exists()
