"""Everything that may change features gives them another file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from lzn_testing.models.counting_features import CountingExtractor, counting_extractor

from stages.feature_extraction.cache import FeatureCache
from stages.feature_extraction.extraction import Workers

IMAGES = np.random.default_rng(0).integers(0, 256, size=(5, 1, 8, 8)).astype(np.uint8)


def computed_batches(folder: Path, **changes: object) -> int:
    """Return how many batches an extractor with these changes computes."""
    extractor: CountingExtractor = dataclasses.replace(counting_extractor(), extracted_sizes=[], **changes)
    FeatureCache(folder, Workers(torch.device("cpu"))).of(IMAGES).by(extractor)
    return len(extractor.extracted_sizes)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 3},
        {"code": "stages.feature_extraction.cache"},
        {"weights_sha256": "weights of another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_extractor_computes_its_own_features(tmp_path: Path, change: dict[str, object]) -> None:
    assert computed_batches(tmp_path) == 1
    assert computed_batches(tmp_path, **change) > 0
    assert computed_batches(tmp_path) == 0  # the first features are still there
    assert len(list(tmp_path.glob("*.f32"))) == 2


def test_another_number_of_threads_computes_its_own_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of sums depends on it."""
    assert computed_batches(tmp_path) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert computed_batches(tmp_path) == 1
    assert computed_batches(tmp_path) == 0


def test_another_version_of_torch_computes_its_own_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert computed_batches(tmp_path) == 1
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert computed_batches(tmp_path) == 1
