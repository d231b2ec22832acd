"""Real and generated images compared in a data set's own features, in Inception's, and in none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lzn_oracles.random_inception import random_inception
from numpy.typing import NDArray

from lzn.networks import ImageClassifier
from stages.comparisons import read_comparison
from stages.feature_networks import ClassifierShape, write_classifier, write_inception, write_none
from stages.params import ParamsError

CPU = torch.device("cpu")
SHAPE = ClassifierShape(image_size=8, image_channels=1, num_classes=3, base_channels=8, feature_dim=6)


def images(seed: int, number: int, *, channels: int = 1, spread: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, spread, size=(number, channels, 8, 8)).astype(np.uint8)


@pytest.fixture
def classifier_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    classifier: ImageClassifier = SHAPE.build()
    write_classifier(tmp_path / "network", SHAPE, classifier)
    return tmp_path / "network"


def test_images_are_at_no_distance_from_themselves_and_at_one_from_others(classifier_folder: Path) -> None:
    compare = read_comparison(classifier_folder, device=CPU)
    real = images(0, 60)
    same = compare(real, real, data_name="digits", num_neighbours=3)
    darker = compare(real, images(1, 60, spread=128), data_name="digits", num_neighbours=3)
    assert same["fd_digits"] == pytest.approx(0.0, abs=1e-9)  # rounding of float64 eigenvalues
    assert (same["precision"], same["recall"]) == (1.0, 1.0)
    assert darker["fd_digits"] > 1e-3
    assert darker["mmd_digits"] > same["mmd_digits"]


def test_without_a_network_nothing_is_compared(tmp_path: Path) -> None:
    write_none(tmp_path)
    compare = read_comparison(tmp_path, device=CPU)
    assert compare(images(0, 4), images(1, 4), data_name="photos", num_neighbours=3) == {}


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(random_inception().state_dict(), file)
    return file


@pytest.mark.slow
def test_distances_with_other_weights_than_the_released_are_not_called_fid(
    tmp_path: Path, inception_weights: Path
) -> None:
    write_inception(tmp_path, str(inception_weights))
    compare = read_comparison(tmp_path, device=CPU)
    measured = compare(
        images(0, 6, channels=3), images(1, 6, channels=3), data_name="photos", num_neighbours=3
    )
    assert set(measured) == {
        "fd_inception", "fd_inception_rf", "fd_inception_clean", "sfd_inception", "precision", "recall",
    }  # fmt: skip
    assert all(np.isfinite(value) and value >= 0 for value in measured.values())
    assert measured["fd_inception"] != measured["fd_inception_clean"]


def test_weights_that_changed_since_the_features_stage_are_refused(
    tmp_path: Path, inception_weights: Path
) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(inception_weights.read_bytes())
    write_inception(tmp_path / "network", str(weights))
    with weights.open("ab") as stream:
        stream.write(b"!")
    with pytest.raises(ParamsError, match="is not the file that the stage 'features' saw"):
        read_comparison(tmp_path / "network", device=CPU)


def test_missing_weights_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"(?s)nowhere\.pth.*https://"):
        write_inception(tmp_path / "network", str(tmp_path / "nowhere.pth"))


def test_a_file_of_something_else_is_refused_in_words(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    write_inception(tmp_path / "network", str(other))
    with pytest.raises(ParamsError, match="holds something else than Inception-2015-12-05"):
        read_comparison(tmp_path / "network", device=CPU)
