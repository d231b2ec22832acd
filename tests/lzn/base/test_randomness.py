"""Seeds and generators by purpose, and random numbers of a batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom, derive_seed, generator_for
from lzn.data import AffineViews, SimCLRDistortions, random_flips


def test_different_purposes_have_different_seeds() -> None:
    purposes = [("step", 1), ("step", 2), ("step", "1"), ("step",), ("epoch", 1), (), ("step", 1, 0)]
    seeds = {derive_seed(seed, *purpose) for seed in (0, 1, -1) for purpose in purposes}
    assert len(seeds) == 3 * len(purposes)


def test_seeds_are_in_the_range_of_a_generator() -> None:
    seeds = [derive_seed(0, "step", step) for step in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
    # The highest bit is used: 1000 seeds are all below 2^62 with probability 2^-1000.
    assert max(seeds) >= 2**62


def test_seeds_are_the_same_in_every_process_and_version() -> None:
    # A seed from an earlier run. Python's hash() of strings would be different in every process.
    assert derive_seed(7, "step", 3) == 365175719230151385


def test_a_generator_depends_on_its_purpose_and_not_on_the_global_generator() -> None:
    torch.manual_seed(1)
    first = torch.rand(4, generator=generator_for(0, "step", 5))
    torch.manual_seed(2)
    assert torch.equal(torch.rand(4, generator=generator_for(0, "step", 5)), first)
    assert not torch.equal(torch.rand(4, generator=generator_for(0, "step", 6)), first)


IMAGES = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
AFFINE = AffineViews(max_rotation=15, max_scale=1.2, max_shear=0.1, max_shift=1, min_contrast=0.5, noise=0.1)


@pytest.mark.parametrize(
    "function",
    [
        lambda images, random: random.normal(3, 5),
        lambda images, random: random.uniform(),
        lambda images, random: random.bits(),
        random_flips,
        AFFINE,
        SimCLRDistortions(blur_kernel=5),
    ],
    ids=["normal", "uniform", "bits", "flips", "affine views", "distortions"],
)
@pytest.mark.parametrize("count", [2, 4, 7])
def test_random_numbers_of_a_sample_do_not_depend_on_its_process(
    function: Callable[[Tensor, BatchRandom], Tensor], count: int
) -> None:
    def results(processes: Processes) -> Tensor:
        share = processes.share_of(7)
        random = BatchRandom(torch.Generator().manual_seed(5), share)
        return torch.cat([function(IMAGES[share.rows], random)[:, None] for _ in range(2)], dim=1)

    parts = [results(Processes(rank, count)) for rank in range(count)]
    # Vector and scalar instructions of the CPU round the last bit differently.
    torch.testing.assert_close(torch.cat(parts), results(Processes()), rtol=1e-6, atol=2e-6)


def test_a_single_process_gets_the_numbers_of_its_generator_in_order() -> None:
    random = BatchRandom.for_whole_batch(5, torch.Generator().manual_seed(5))
    generator = torch.Generator().manual_seed(5)
    assert torch.equal(random.normal(2, 3), torch.randn(5, 2, 3, generator=generator))
    assert torch.equal(random.uniform(4), torch.rand(5, 4, generator=generator))
