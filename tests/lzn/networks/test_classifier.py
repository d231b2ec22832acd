"""The small classifier: shapes, logits as a linear map of features, training, and errors."""

from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from lzn.networks import ImageClassifier


def small(**changes: Any) -> ImageClassifier:
    torch.manual_seed(0)
    settings = {"image_size": 8, "image_channels": 1, "num_classes": 10, "base_channels": 8}
    return ImageClassifier(**{**settings, **changes})


@pytest.mark.parametrize("size", [8, 16, 28, 32])
def test_features_and_logits_have_the_documented_shapes(size: int) -> None:
    classifier = small(image_size=size)
    images = torch.zeros(2, 1, size, size)
    assert classifier.features(images).shape == (2, 128)
    assert classifier(images).shape == (2, 10)


def test_the_feature_dimension_can_be_chosen() -> None:
    classifier = small(feature_dim=24)
    assert classifier.feature_dim == 24
    assert classifier.features(torch.zeros(2, 1, 8, 8)).shape == (2, 24)


def test_logits_are_a_linear_map_of_the_features() -> None:
    classifier = small()
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = classifier.features(images) @ classifier.to_logits.weight.T + classifier.to_logits.bias
    torch.testing.assert_close(classifier(images), expected)


def test_it_learns_to_classify_digits() -> None:
    digits = load_digits()
    images = torch.as_tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
    labels = torch.as_tensor(digits.target)
    classifier = small()
    optimiser = torch.optim.Adam(classifier.parameters(), lr=3e-3)
    for rows in torch.arange(1500).split(100) * 4:
        optimiser.zero_grad()
        functional.cross_entropy(classifier(images[rows]), labels[rows]).backward()
        optimiser.step()
    with torch.no_grad():
        accuracy = (classifier(images[1500:]).argmax(dim=1) == labels[1500:]).float().mean()
    # Chance is 0.1; a linear classifier on these pixels reaches about 0.9.
    assert accuracy > 0.85


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 3}, "image_size=3 must be at least 4"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"base_channels": 12}, "base_channels is 12"),
    ],
)
def test_an_error_names_the_setting_and_what_is_allowed(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**change)


def test_images_of_another_shape_raise() -> None:
    with pytest.raises(ValueError, match=r"images have shape \(2, 1, 16, 16\): .* \(b, 1, 8, 8\)"):
        small()(torch.zeros(2, 1, 16, 16))
