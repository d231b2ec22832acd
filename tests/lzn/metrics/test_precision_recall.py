"""Precision and recall: agreement with the definition and torch-fidelity, ties, direction, symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lzn_testing.oracles.literal_metrics import share_inside
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from lzn.metrics import PrecisionRecall, precision_recall


def literal(real: np.ndarray, generated: np.ndarray, num_neighbours: int = 3) -> PrecisionRecall:
    return PrecisionRecall(
        precision=share_inside(generated, real, num_neighbours),
        recall=share_inside(real, generated, num_neighbours),
    )


def normal(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 60),
    m=st.integers(4, 60),
    d=st.integers(1, 12),
    num_neighbours=st.integers(1, 3),
    block_size=st.integers(7, 70),
)
def test_the_result_in_blocks_equals_the_definition(
    *, seed: int, n: int, m: int, d: int, num_neighbours: int, block_size: int
):
    real, generated = normal(seed, n, d), 1.2 * normal(seed + 1, m, d) + 0.3
    result = precision_recall(real, generated, num_neighbours=num_neighbours, block_size=block_size)
    assert result == literal(real, generated, num_neighbours)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 50),
    m=st.integers(4, 50),
    d=st.integers(1, 4),
    span=st.integers(1, 4),
    placement=st.sampled_from([(1.0, 0), (1.0, 1000), (0.1, 0), (1 / 127.5, 0)]),
)
def test_ties_and_duplicates_count_as_in_exact_arithmetic(
    *, seed: int, n: int, m: int, d: int, span: int, placement: tuple[float, int]
):
    rng = np.random.default_rng(seed)
    real, generated = rng.integers(0, span + 1, (n, d)), rng.integers(0, span + 1, (m, d))
    unit, offset = placement
    # On a small lattice most distances are ties. Integers are exact, and multiples of 0.1 are not.
    result = precision_recall(unit * (real + offset), unit * (generated + offset), block_size=7)
    assert result == literal(real, generated)


@pytest.mark.parametrize("num_neighbours", [1, 3, 5])
@pytest.mark.parametrize(("spread", "d"), [(1.0, 8), (0.6, 30), (1.5, 2)])
def test_the_shares_equal_those_of_torch_fidelity(num_neighbours: int, spread: float, d: int):
    real, generated = normal(18, 200, d), spread * normal(19, 200, d)
    expected = prc_features_to_metric(
        *(torch.from_numpy(features) for features in (generated, real)),
        prc_neighborhood=num_neighbours,
        prc_batch_size=1000,
        save_cpu_ram=False,
        verbose=False,
    )
    result = precision_recall(real, generated, num_neighbours=num_neighbours, block_size=64)
    # Multiples of 1/200; torch-fidelity divides in float32.
    assert round(200 * result.precision) == round(200 * expected[KEY_METRIC_PRECISION], 3)
    assert round(200 * result.recall) == round(200 * expected[KEY_METRIC_RECALL], 3)


def test_samples_at_the_radius_are_inside_despite_rounding():
    # All radii of the real set are 0.2, and the generated samples have exactly this distance. In float64,
    # 0.7 - 0.5 is less than 0.5 - 0.3, so they would be outside by the rounded numbers.
    real, generated = np.array([[0.5], [0.7]]), np.array([[0.3], [0.9]])
    assert (0.7 - 0.5) < (0.5 - 0.3)
    assert precision_recall(real, generated, num_neighbours=1).precision == 1.0


def test_tight_groups_far_from_the_origin_lose_no_digits():
    # |x|^2 is 1e8 and squared distances are 1e-6, so the matrix product alone loses all their digits.
    real, generated = 1000 + 1e-4 * normal(0, 80, 100), 1000 + 1e-4 * normal(1, 80, 100)
    # The same data without the offset, after the rounding of the large coordinates.
    expected = literal(real - 1000, generated - 1000)
    assert precision_recall(real, generated, block_size=32) == expected
    assert 0 < expected.precision < 1


def test_a_set_with_duplicates_covers_itself():
    real = np.repeat(normal(2, 10, 30), 5, axis=0)
    assert precision_recall(real, real) == PrecisionRecall(precision=1.0, recall=1.0)
    # All radii are 0, so only equal points are inside a ball.
    assert precision_recall(real, real + 1e-9) == PrecisionRecall(precision=0.0, recall=0.0)


def test_float32_features_give_the_same_result_as_their_float64_copies():
    real, generated = (normal(seed, 100, 64).astype(np.float32) for seed in (3, 4))
    expected = precision_recall(real.astype(np.float64), generated.astype(np.float64))
    assert precision_recall(real, generated) == expected


def test_precision_and_recall_are_high_for_equal_distributions_and_zero_for_distant_ones():
    real = normal(5, 500, 2)
    close = precision_recall(real, normal(6, 500, 2))
    assert close.precision > 0.9
    assert close.recall > 0.9
    assert precision_recall(real, normal(7, 500, 2) + 100) == PrecisionRecall(precision=0.0, recall=0.0)


def test_mode_collapse_keeps_precision_and_loses_recall():
    rng = np.random.default_rng(8)
    centres = 20.0 * np.eye(5)
    real = centres[rng.integers(0, 5, 500)] + rng.normal(size=(500, 5))
    collapsed = centres[0] + rng.normal(size=(500, 5))
    result = precision_recall(real, collapsed)
    assert result.precision > 0.8
    # One of five modes remains.
    assert result.recall < 0.3


def test_a_wide_distribution_loses_precision_and_keeps_recall():
    rng = np.random.default_rng(9)
    real = rng.normal(size=(500, 2))
    spread = rng.uniform(-10, 10, size=(500, 2))
    result = precision_recall(real, spread)
    assert result.precision < 0.3
    assert result.recall > 0.9


def test_swapping_the_sets_swaps_precision_and_recall():
    real, generated = normal(10, 70, 6), 0.7 * normal(11, 90, 6)
    result, swapped = precision_recall(real, generated), precision_recall(generated, real)
    assert (result.precision, result.recall) == (swapped.recall, swapped.precision)
    assert result.precision != result.recall


def test_the_order_of_the_samples_does_not_matter():
    real, generated = normal(12, 70, 6), normal(13, 90, 6)
    order = np.random.default_rng(14).permutation(70)
    assert precision_recall(real[order], generated[::-1], block_size=16) == precision_recall(real, generated)


def test_more_neighbours_never_shrink_the_supports():
    real, generated = normal(15, 100, 8), 1.3 * normal(16, 100, 8)
    results = [precision_recall(real, generated, num_neighbours=k) for k in (1, 3, 10)]
    assert [r.precision for r in results] == sorted(r.precision for r in results)
    assert [r.recall for r in results] == sorted(r.recall for r in results)


def test_wrong_arguments_are_an_error():
    real = normal(17, 10, 3)
    with pytest.raises(ValueError, match="generated must have at least 4 rows"):
        precision_recall(real, real[:3])
    with pytest.raises(ValueError, match="the same width"):
        precision_recall(real, real[:, :2])
    with pytest.raises(ValueError, match="block_size"):
        precision_recall(real, real, block_size=0)
    with pytest.raises(ValueError, match="num_neighbours"):
        precision_recall(real, real, num_neighbours=0)
    with pytest.raises(ValueError, match="NaN"):
        precision_recall(real, np.full((10, 3), np.nan))
