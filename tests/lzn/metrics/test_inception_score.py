"""Inception Score: closed forms, agreement with torch-fidelity, splits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

from lzn.metrics import inception_score


def random_logits(seed: int, n: int, num_classes: int, *, scale: float = 2.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(n, num_classes))


def certain_logits(labels: list[int], num_classes: int) -> np.ndarray:
    """Return logits with probability 1 for each label; the others have the probability exp(-2000) = 0."""
    return 2000.0 * np.eye(num_classes)[labels]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    num_splits=st.integers(1, 5),
    split_size=st.integers(1, 20),
    num_classes=st.integers(1, 30),
)
def test_the_score_equals_that_of_torch_fidelity_for_equal_splits(
    seed: int, num_splits: int, split_size: int, num_classes: int
):
    logits = random_logits(seed, num_splits * split_size, num_classes)
    reference = isc_features_to_metric(torch.from_numpy(logits), splits=num_splits, shuffle=False)
    # Float64 sums of the same few terms of size 1 in another order.
    assert inception_score(logits, split_size=split_size) == pytest.approx(
        reference[KEY_METRIC_ISC_MEAN], rel=1e-12
    )


def test_certain_predictions_of_k_equally_frequent_classes_have_the_score_k():
    logits = certain_logits([0, 3, 5, 7] * 6, num_classes=8)
    # The probabilities are exactly 0 and 1; log and exp of 4 keep 15 digits.
    assert inception_score(logits) == pytest.approx(4, rel=1e-14)


def test_the_score_of_certain_predictions_is_the_perplexity_of_their_classes():
    logits = certain_logits([0, 0, 0, 1], num_classes=3)
    perplexity = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    # As above.
    assert inception_score(logits) == pytest.approx(perplexity, rel=1e-14)


def test_samples_of_one_class_and_unclear_samples_have_the_score_one():
    # The divergence of equal distributions cancels to 1e-15.
    assert inception_score(certain_logits([2] * 10, num_classes=5)) == pytest.approx(1, abs=1e-13)
    assert inception_score(np.zeros((10, 5))) == pytest.approx(1, abs=1e-13)
    assert inception_score(np.tile(random_logits(0, 1, 5), (10, 1))) == pytest.approx(1, abs=1e-13)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), num_classes=st.integers(1, 20))
def test_the_score_lies_between_one_and_the_number_of_classes(seed: int, n: int, num_classes: int):
    score = inception_score(random_logits(seed, n, num_classes, scale=20))
    # Rounding of float64 sums of n terms.
    assert 1 - 1e-12 <= score <= min(n, num_classes) * (1 + 1e-12)


def test_a_constant_added_to_the_logits_of_a_sample_does_not_change_the_score():
    logits = random_logits(1, 40, 10)
    shifted = logits + 100 * np.random.default_rng(2).normal(size=(40, 1))
    # Logits around 100 lose two of their 16 digits.
    assert inception_score(shifted) == pytest.approx(inception_score(logits), rel=1e-12)


def test_the_order_matters_only_between_splits():
    sorted_logits = certain_logits([0] * 10 + [1] * 10, num_classes=2)
    mixed = sorted_logits[np.random.default_rng(3).permutation(20)]
    # Sums in another order.
    assert inception_score(mixed) == pytest.approx(inception_score(sorted_logits), rel=1e-14)
    assert inception_score(sorted_logits, split_size=10) == pytest.approx(1, abs=1e-13)
    assert inception_score(mixed, split_size=10) > 1.5


def test_a_smaller_last_split_has_the_same_weight():
    logits = random_logits(4, 25, 6)
    parts = [inception_score(part) for part in (logits[:10], logits[10:20], logits[20:])]
    # Float64 mean of three numbers.
    assert inception_score(logits, split_size=10) == pytest.approx(np.mean(parts), rel=1e-14)


def test_the_default_split_has_5000_samples():
    logits = random_logits(5, 5001, 4)
    first, last = inception_score(logits[:5000]), inception_score(logits[5000:])
    # The distribution of a single sample is its marginal, so its score is 1.
    assert last == pytest.approx(1, abs=1e-13)
    assert inception_score(logits) == pytest.approx((first + last) / 2, rel=1e-14)


def test_float32_logits_are_summed_in_float64():
    logits = random_logits(6, 500, 50).astype(np.float32)
    expected = inception_score(logits.astype(np.float64))
    # Both do the same operations on the same numbers.
    assert inception_score(logits) == expected


def test_wrong_logits_or_split_sizes_are_an_error():
    with pytest.raises(ValueError, match="at least 1 rows"):
        inception_score(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="NaN"):
        inception_score(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match=r"\(n, d\)"):
        inception_score(np.zeros(3))
    with pytest.raises(ValueError, match="block_size must be at least 1"):
        inception_score(np.zeros((2, 3)), split_size=0)
