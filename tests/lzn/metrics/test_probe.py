"""The linear probe by logistic regression: known accuracies, independence of scale and test set, errors."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lzn.metrics import accuracy, linear_probe


def clusters(seed: int, num_classes: int, n: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % num_classes
    return 4 * np.eye(num_classes)[labels] + spread * rng.normal(size=(n, num_classes)), labels


def test_separable_classes_have_accuracy_one():
    train, test = clusters(0, 8, 400, 0.3), clusters(1, 8, 200, 0.3)
    result = linear_probe(*train, *test)
    assert result.top1 == 1.0
    assert result.top5 == 1.0
    assert result.converged


def test_the_accuracy_on_handwritten_digits_is_that_of_the_literature():
    digits = load_digits()
    features, labels = digits.data.astype(np.float32), digits.target
    result = linear_probe(features[:1200], labels[:1200], features[1200:], labels[1200:])
    # Linear classifiers have accuracies of 0.90 to 0.96 on these pixels, depending on the split.
    assert 0.88 < result.top1 < 0.97
    assert result.top1 < result.top5 <= 1.0


def test_features_without_information_have_the_accuracy_of_chance():
    rng = np.random.default_rng(2)
    features, labels = rng.normal(size=(3000, 5)), rng.integers(0, 10, 3000)
    result = linear_probe(features[:2000], labels[:2000], features[2000:], labels[2000:])
    # Binomial with 1000 samples: standard deviations 0.0095 and 0.016; the tolerances are four of each.
    assert result.top1 == pytest.approx(0.1, abs=0.04)
    assert result.top5 == pytest.approx(0.5, abs=0.065)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_top5_of_five_classes_or_fewer_is_none(num_classes: int):
    train, test = clusters(3, num_classes, 100, 0.3), clusters(4, num_classes, 50, 0.3)
    result = linear_probe(*train, *test)
    assert result.top5 is None
    assert result.top1 == 1.0


def test_labels_need_not_be_consecutive():
    features, labels = clusters(5, 7, 210, 0.3)
    names = np.array([3, 10, 11, 50, 51, 100, 7])
    result = linear_probe(features, names[labels], features, names[labels])
    assert result.top1 == 1.0


def test_scale_and_offset_of_the_features_do_not_matter():
    train, test = clusters(6, 6, 300, 2.0), clusters(7, 6, 300, 2.0)
    scale = np.logspace(-3, 3, 6)
    expected = linear_probe(*train, *test)
    moved = linear_probe(train[0] * scale + 100, train[1], test[0] * scale + 100, test[1])
    assert 0.5 < expected.top1 < 1
    # Standardised features differ by 100 / 1e-3 * 1e-16; at most one sample at the boundary changes its class.
    assert moved.top1 == pytest.approx(expected.top1, abs=1 / 300)


def test_test_features_do_not_change_the_standardisation():
    train, test = clusters(8, 6, 300, 1.5), clusters(9, 6, 300, 1.5)
    whole = linear_probe(*train, *test)
    halves = [linear_probe(*train, test[0][part], test[1][part]) for part in (slice(0, 150), slice(150, 300))]
    # The classifier depends only on the training set, so it is the same for each part of the test set.
    assert np.mean([half.top1 for half in halves]) == pytest.approx(whole.top1, abs=1e-12)


def test_a_second_call_gives_the_same_result():
    train, test = clusters(10, 6, 300, 2.0), clusters(11, 6, 300, 2.0)
    assert linear_probe(*train, *test) == linear_probe(*train, *test)


def test_a_fit_that_reaches_its_iteration_limit_has_not_converged():
    train, test = clusters(12, 6, 300, 2.0), clusters(13, 6, 300, 2.0)
    assert not linear_probe(*train, *test, max_iterations=2).converged


def test_samples_of_a_class_without_training_samples_count_as_errors():
    features, labels = clusters(14, 4, 200, 0.1)
    seen = labels != 3
    result = linear_probe(features[seen], labels[seen], features, labels)
    assert result.top1 == 0.75


def test_accuracy_is_the_share_of_equal_labels():
    assert accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0])) == 0.5
    assert accuracy(np.array([7]), np.array([7])) == 1.0


def test_wrong_arguments_are_an_error():
    features, labels = clusters(15, 3, 30, 0.1)
    with pytest.raises(ValueError, match="both be"):
        accuracy(labels, labels[:, None])
    with pytest.raises(ValueError, match="not empty"):
        accuracy(labels[:0], labels[:0])
    with pytest.raises(ValueError, match="train_labels must be 30 integers"):
        linear_probe(features, labels[:5], features, labels)
    with pytest.raises(ValueError, match="test_labels must be 30 integers"):
        linear_probe(features, labels, features, labels.astype(np.float64))
    with pytest.raises(ValueError, match="the same width"):
        linear_probe(features, labels, features[:, :2], labels)
    with pytest.raises(ValueError, match="two classes"):
        linear_probe(features, np.zeros(30, dtype=np.int64), features, labels)
    with pytest.raises(ValueError, match="NaN"):
        linear_probe(np.full_like(features, np.nan), labels, features, labels)
