"""The samples of each training step."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lzn.data import batch_indices, random_subset, steps_per_epoch


def epoch(number: int, *, num_samples: int, batch_size: int, seed: int) -> torch.Tensor:
    steps = steps_per_epoch(num_samples, batch_size)
    return torch.cat(
        [
            batch_indices(step, num_samples=num_samples, batch_size=batch_size, seed=seed)
            for step in range(number * steps, (number + 1) * steps)
        ]
    )


@given(
    sizes=st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    number=st.integers(0, 3),
    seed=st.integers(0, 2**40),
)
def test_an_epoch_visits_each_sample_at_most_once_and_drops_less_than_a_batch(
    sizes: tuple[int, int], number: int, seed: int
) -> None:
    num_samples, batch_size = sizes
    visited = epoch(number, num_samples=num_samples, batch_size=batch_size, seed=seed)
    assert visited.dtype == torch.int64
    assert len(visited.unique()) == len(visited)
    assert num_samples - len(visited) in range(batch_size)
    assert set(visited.tolist()) <= set(range(num_samples))


def test_a_batch_depends_only_on_step_and_seed() -> None:
    first = batch_indices(37, num_samples=100, batch_size=10, seed=3)
    torch.manual_seed(99)
    for step in (0, 5, 38):  # earlier calls do not matter
        batch_indices(step, num_samples=100, batch_size=10, seed=3)
    assert torch.equal(batch_indices(37, num_samples=100, batch_size=10, seed=3), first)
    assert not torch.equal(batch_indices(37, num_samples=100, batch_size=10, seed=4), first)


def test_batches_do_not_use_the_global_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    batch_indices(0, num_samples=100, batch_size=10, seed=0)
    random_subset(100, 10, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_every_epoch_has_another_order() -> None:
    orders = [epoch(number, num_samples=50, batch_size=7, seed=0) for number in range(3)]
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[1], orders[2])


def test_each_epoch_drops_other_samples() -> None:
    visited = [set(epoch(number, num_samples=50, batch_size=40, seed=0).tolist()) for number in range(10)]
    # Each epoch drops 10 of 50 samples: ten epochs drop one sample every time with probability 0.2^10.
    assert set.union(*visited) == set(range(50))


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_a_batch_size_without_a_full_batch_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=r"batch_size must lie in \[1, 10\]"):
        steps_per_epoch(10, batch_size)
    with pytest.raises(ValueError, match=r"batch_size must lie in \[1, 10\]"):
        batch_indices(0, num_samples=10, batch_size=batch_size, seed=0)


def test_a_random_subset_is_sorted_without_repeats_and_depends_only_on_the_seed() -> None:
    chosen = random_subset(1000, 100, seed=5)
    assert torch.equal(chosen, chosen.unique(sorted=True))
    assert (len(chosen), int(chosen.min()) >= 0, int(chosen.max()) < 1000) == (100, True, True)
    assert torch.equal(random_subset(1000, 100, seed=5), chosen)
    assert not torch.equal(random_subset(1000, 100, seed=6), chosen)


def test_a_random_subset_is_uniform() -> None:
    counts = sum(torch.zeros(10).index_fill_(0, random_subset(10, 3, seed=seed), 1.0) for seed in range(2000))
    # 2000 subsets hold each index with probability 0.3: the standard deviation is 20.5, the tolerance 5 of them.
    assert (counts - 600).abs().max() < 103


def test_a_subset_may_be_the_whole_set_but_not_larger_or_empty() -> None:
    assert torch.equal(random_subset(10, 10, seed=0), torch.arange(10))
    for num_chosen in (0, 11):
        with pytest.raises(ValueError, match=r"num_chosen must lie in \[1, 10\]"):
            random_subset(10, num_chosen, seed=0)


def test_changing_a_batch_in_place_does_not_change_later_batches() -> None:
    first = batch_indices(3, num_samples=20, batch_size=5, seed=0)
    expected = first.clone()
    first.zero_()
    assert torch.equal(batch_indices(3, num_samples=20, batch_size=5, seed=0), expected)


def test_an_epoch_of_millions_is_permuted_once() -> None:
    settings = {"num_samples": 3_000_000, "batch_size": 256, "seed": 0}
    steps = range(500)
    start = time.process_time()
    batch_indices(0, **settings)
    first = time.process_time() - start
    for step in steps:
        batch_indices(step, **settings)
    others = time.process_time() - start - first
    # A permutation takes 0.1 s, a slice of the kept one a few microseconds: 500 slices take less than ten permutations.
    assert others < 10 * first
