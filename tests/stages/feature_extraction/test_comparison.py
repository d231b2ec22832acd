"""Comparisons of images in features of a classifier, of Inception and CLIP, and without a network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lzn.base.sections import ParamsError
from lzn.networks import ImageClassifier
from rehearsal.random_clip import random_clip, write_as_released
from rehearsal.random_inception import random_inception
from stages.feature_extraction.comparison import Comparison
from stages.feature_extraction.networks import (
    ClassifierShape,
    ClipFeatures,
    InceptionFeatures,
    write_classifier,
    write_inception,
    write_none,
)
from stages.feature_extraction.read import read_comparison

CPU = torch.device("cpu")
SHAPE = ClassifierShape(image_size=8, image_channels=1, num_classes=3, base_channels=8, feature_dim=6)


def images(seed: int, number: int, *, channels: int = 1, spread: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, spread, size=(number, channels, 8, 8)).astype(np.uint8)


def comparison(folder: Path) -> Comparison:
    """The comparison, with a cache of features beside the folder."""
    return read_comparison(folder, device=CPU, cache=folder.parent / "cache")


def inception_params(weights: Path, clip: Path | None = None) -> InceptionFeatures:
    return InceptionFeatures(
        kind="inception",
        weights=str(weights),
        clip=None if clip is None else ClipFeatures(weights=str(clip)),
    )


@pytest.fixture
def classifier_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    classifier: ImageClassifier = SHAPE.build()
    write_classifier(tmp_path / "network", SHAPE, classifier)
    return tmp_path / "network"


def test_distances_are_zero_to_the_same_images_and_positive_to_others(classifier_folder: Path) -> None:
    compare = comparison(classifier_folder)
    real = images(0, 60)
    same = compare(real, real, data_name="digits", num_neighbours=3)
    darker = compare(real, images(1, 60, spread=128), data_name="digits", num_neighbours=3)
    assert same["fd_digits"] == pytest.approx(0.0, abs=1e-9)  # rounding of float64 eigenvalues
    assert (same["precision"], same["recall"]) == (1.0, 1.0)
    assert darker["fd_digits"] > 1e-3
    assert darker["mmd_digits"] > same["mmd_digits"]


def test_the_main_distance_alone_equals_the_one_among_all_numbers(classifier_folder: Path) -> None:
    compare = comparison(classifier_folder)
    real = images(0, 60)
    for seed in (1, 2):
        generated = images(seed, 60, spread=128)
        every = compare(real, generated, data_name="digits", num_neighbours=3)
        assert compare.distance(real, generated, data_name="digits") == {"fd_digits": every["fd_digits"]}
    # Statistics of the last real set are not used for another one.
    (other,) = compare.distance(images(3, 60), images(3, 60), data_name="digits").values()
    assert other == pytest.approx(0.0, abs=1e-9)


def test_features_of_the_real_images_are_computed_once_for_several_comparisons(
    classifier_folder: Path,
) -> None:
    real = images(0, 60)
    for seed in (1, 2, 3):
        comparison(classifier_folder)(real, images(seed, 60), data_name="digits", num_neighbours=3)
    assert len(list((classifier_folder.parent / "cache").glob("*.f32"))) == 4


def test_the_main_distance_stores_features_of_the_real_images_only(classifier_folder: Path) -> None:
    compare, real = comparison(classifier_folder), images(0, 60)
    for seed in (1, 2, 3):
        compare.distance(real, images(seed, 60), data_name="digits")
    cache = classifier_folder.parent / "cache"
    assert len(list(cache.rglob("*.f32"))) == 1
    assert not [entry for entry in cache.iterdir() if entry.is_dir()]


def test_noise_raises_every_distance_and_missing_modes_lower_recall(classifier_folder: Path) -> None:
    compare = comparison(classifier_folder)
    rng = np.random.default_rng(0)
    modes = rng.integers(60, 196, size=(4, 1, 8, 8))

    def draw(which: NDArray[np.int64], deviation: float) -> NDArray[np.uint8]:
        levels = modes[which] + rng.normal(0, deviation, size=(len(which), 1, 8, 8))
        return levels.clip(0, 255).astype(np.uint8)

    mode = np.arange(200) % 4
    real = draw(mode, 6)
    good, noisy, lost = (
        compare(real, generated, data_name="digits", num_neighbours=3)
        for generated in (draw(mode, 6), draw(mode, 40), draw(np.zeros(200, np.int64), 6))
    )
    for name in ("fd_digits", "mmd_digits"):
        assert good[name] < noisy[name]
        assert good[name] < lost[name]
    assert noisy["precision"] < 0.5 < good["precision"]
    assert lost["precision"] > 0.5
    assert lost["recall"] < 0.3 < good["recall"]


def test_without_a_network_there_are_no_numbers(tmp_path: Path) -> None:
    write_none(tmp_path / "network")
    compare = comparison(tmp_path / "network")
    assert compare(images(0, 4), images(1, 4), data_name="photos", num_neighbours=3) == {}
    assert compare.distance(images(0, 4), images(1, 4), data_name="photos") == {}


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(random_inception().state_dict(), file)
    return file


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_as_released(random_clip(), tmp_path_factory.mktemp("weights") / "clip")


@pytest.mark.slow
def test_noise_raises_every_distance_of_inception_and_clip_and_none_is_fid_with_random_weights(
    tmp_path: Path, inception_weights: Path, clip_folder: Path
) -> None:
    write_inception(tmp_path / "network", inception_params(inception_weights, clip_folder))
    compare = comparison(tmp_path / "network")
    rng = np.random.default_rng(0)
    real = np.kron(rng.integers(60, 196, (8, 3, 4, 4)), np.ones((8, 8))).astype(np.uint8)
    sets = [
        (real + rng.normal(0, deviation, real.shape)).clip(0, 255).astype(np.uint8) for deviation in (5, 60)
    ]
    little, much = (compare(real, generated, data_name="photos", num_neighbours=3) for generated in sets)
    distances = {"fd_inception", "fd_inception_rf", "fd_inception_clean", "sfd_inception", "mmd_clip"}
    reasons = {name: value for name, value in little.items() if isinstance(value, str)}
    assert set(little) - set(reasons) == distances | {"precision", "recall"}
    assert set(reasons) == {"fid", "fid_rf", "fid_clean", "sfid", "is", "cmmd"}
    assert reasons["fid"] == "the weights are not those of Inception-2015-12-05"
    for name in distances:
        assert 0 < little[name] < much[name]
    assert little["fd_inception"] != little["fd_inception_clean"]
    main = compare.distance(real, sets[0], data_name="photos")
    assert main == {"fd_inception": little["fd_inception"]}
    # One file each for cm, rf, clean and CLIP, for three sets of images.
    assert len(list((tmp_path / "cache").glob("*.f32"))) == 12


def test_weights_that_changed_since_the_features_stage_are_an_error(
    tmp_path: Path, inception_weights: Path
) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(inception_weights.read_bytes())
    write_inception(tmp_path / "network", inception_params(weights))
    with weights.open("ab") as stream:
        stream.write(b"!")
    with pytest.raises(ParamsError, match="is not the file that the stage 'features' saw"):
        comparison(tmp_path / "network")


def test_clip_files_that_changed_since_the_features_stage_are_an_error(
    tmp_path: Path, inception_weights: Path, clip_folder: Path
) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for file in clip_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    write_inception(tmp_path / "network", inception_params(inception_weights, folder))
    changed = json.loads((folder / "config.json").read_text())
    changed["vision_config"]["hidden_act"] = "gelu"
    (folder / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ParamsError, match="does not hold the files that the stage 'features' saw"):
        comparison(tmp_path / "network")


def test_missing_weights_are_an_error_that_says_where_to_get_them_and_what_works_without(
    tmp_path: Path, inception_weights: Path
) -> None:
    with pytest.raises(ParamsError, match=r"(?s)nowhere\.pth.*https://.*kind: none.*everything except"):
        write_inception(tmp_path / "network", inception_params(tmp_path / "nowhere.pth"))
    with pytest.raises(
        ParamsError, match=r"(?s)nowhere.*https://huggingface.*clip to null.*everything except"
    ):
        write_inception(tmp_path / "network", inception_params(inception_weights, tmp_path / "nowhere"))


def test_a_file_without_the_weights_is_an_error_that_names_the_network(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    write_inception(tmp_path / "network", inception_params(other))
    with pytest.raises(ParamsError, match="does not contain Inception-2015-12-05"):
        comparison(tmp_path / "network")
