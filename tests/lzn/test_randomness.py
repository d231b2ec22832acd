"""Seeds by purpose."""

import torch

from lzn.randomness import derive_seed, generator_for


def test_different_purposes_have_different_seeds() -> None:
    purposes = [("step", 1), ("step", 2), ("step", "1"), ("step",), ("epoch", 1), (), ("step", 1, 0)]
    seeds = {derive_seed(seed, *purpose) for seed in (0, 1, -1) for purpose in purposes}
    assert len(seeds) == 3 * len(purposes)


def test_seeds_are_what_a_generator_takes() -> None:
    seeds = [derive_seed(0, "step", step) for step in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**63
    # The highest bits are used: all 1000 below 2^62 has a chance of 2^-1000.
    assert max(seeds) >= 2**62


def test_seeds_are_the_same_in_every_process_and_version() -> None:
    # A number that was printed once: with Python's own hash() of strings it would change in every process.
    assert derive_seed(7, "step", 3) == 365175719230151385


def test_a_generator_depends_on_its_purpose_and_not_on_the_global_one() -> None:
    torch.manual_seed(1)
    first = torch.rand(4, generator=generator_for(0, "step", 5))
    torch.manual_seed(2)
    assert torch.equal(torch.rand(4, generator=generator_for(0, "step", 5)), first)
    assert not torch.equal(torch.rand(4, generator=generator_for(0, "step", 6)), first)
