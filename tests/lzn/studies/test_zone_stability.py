"""Zone stability: closed forms in one dimension, and minibatches compared with the bank."""

import math

import pytest
import torch
from lzn_testing.oracles.flow_problems import normal
from lzn_testing.random_numbers import seeded
from scipy.stats import norm
from torch import Tensor

from lzn.flow import AnchorBank, DPMSolver, Euler
from lzn.studies import ZoneProtocol, ZoneStability, bank_zone_stability, batch_zone_stability

FINE = ZoneProtocol(
    latent_solver=Euler(num_steps=400, g=1e-3), zone_solver=Euler(num_steps=400, g=1e-3), alpha=1.0
)

FAST = ZoneProtocol(latent_solver=DPMSolver(num_steps=40), zone_solver=DPMSolver(num_steps=40))


def is_in_second_zone(
    protocol: ZoneProtocol, first: AnchorBank, second: AnchorBank, samples: Tensor, noise: Tensor
) -> Tensor:
    """Return whether latents drawn among the first bank's anchors lie in their zones among the second's."""
    return protocol.is_in_zone(second, samples, protocol.draw(first, samples, noise))


def column(*anchors: float) -> Tensor:
    return torch.tensor(anchors, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("g", [0.3, 0.4])
def test_two_anchors_have_the_probability_of_theorem_1(g: float):
    """A latent of the anchor at -1 lies in the zone of the anchor at +1 if (1 - g)(-1) + g eps > 0."""
    protocol = ZoneProtocol(latent_solver=Euler(num_steps=50, g=g), zone_solver=Euler(num_steps=50, g=g))
    bank, m = AnchorBank(column(-1.0, 1.0)), 4000
    noise = normal(1, m, 1)
    in_zone = is_in_second_zone(protocol, bank, bank, torch.zeros(m, dtype=torch.int64), noise)
    assert torch.equal(in_zone, (noise < (1.0 - g) / g)[:, 0])
    # Four standard errors of the binomial share.
    probability = float(norm.cdf((g - 1.0) / g))
    assert 1.0 - float(in_zone.double().mean()) == pytest.approx(
        probability, abs=4 * math.sqrt(probability / m)
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((-2.0, 2.0), (-2.0, 1.0, 3.0), 2 / 3),  # quantiles [0, 1/2] and [0, 1/3]
        ((-2.0, 2.0), (-2.0, 1.0), 1.0),  # the same rank: [0, 1/2] twice
        ((-2.0, 2.0), (-2.0, -4.0), 0.0),  # another rank: [0, 1/2] and [1/2, 1]
        ((-2.0, 2.0, 4.0), (-2.0, 4.0), 1.0),  # [0, 1/3] and [0, 1/2]
        ((-2.0, -4.0, 2.0), (-2.0, 4.0), 1 / 2),  # [1/3, 2/3] and [0, 1/2]
    ],
)
def test_zones_in_one_dimension_are_quantiles(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
):
    """The flow preserves order, so the k-th of n anchors has the normal quantiles from k/n to (k+1)/n."""
    m = 200
    quantiles = (torch.arange(m, dtype=torch.float64) + 0.5) / m
    noise = torch.special.ndtri(quantiles)[:, None]  # evenly spaced quantiles of the noise
    own = torch.zeros(m, dtype=torch.int64)  # the anchor at -2
    in_zone = is_in_second_zone(FINE, AnchorBank(column(*first)), AnchorBank(column(*second)), own, noise)
    # 1/200 for the spacing of the noise, and about 1/400 for the solver's error at a boundary.
    assert float(in_zone.double().mean()) == pytest.approx(expected, abs=0.015)


def test_in_equal_batches_all_latents_are_in_their_zone_up_to_the_solvers_error():
    anchors = 3.0 * normal(2, 16, 8)
    bank = AnchorBank(anchors)
    own, noise = torch.arange(16).repeat(10), normal(3, 160, 8)
    in_zone = is_in_second_zone(FINE, bank, AnchorBank(anchors.clone()), own, noise)
    assert float(in_zone.double().mean()) > 0.98
    centres = ZoneProtocol(latent_solver=FINE.latent_solver, zone_solver=FINE.zone_solver, alpha=0.0)
    assert bool(is_in_second_zone(centres, bank, bank, torch.arange(16), noise[:16]).all())


def test_batches_of_the_whole_data_set_are_equal():
    anchors = 3.0 * normal(4, 12, 8)
    stability = batch_zone_stability(
        anchors, FAST, batch_size=12, num_pairs=10, samples_per_pair=1, generator=seeded(1)
    )
    assert stability.redrawn == stability.same
    assert stability.redrawn.num_latents == 10
    assert stability.redrawn.share >= 0.9  # one latent may be near a boundary


def test_minibatches_in_one_dimension_keep_latents_whose_rank_is_equal():
    """Batches are two of three anchors: outer anchors always have equal ranks, the middle one half of the time."""
    num_pairs = 100
    solver = Euler(num_steps=40, g=1e-3)
    stability = batch_zone_stability(
        column(-3.0, 0.0, 3.0),
        ZoneProtocol(latent_solver=solver, zone_solver=solver),
        batch_size=2,
        num_pairs=num_pairs,
        samples_per_pair=1,
        generator=seeded(3),
    )
    # 2/3 + 1/3 * 1/2 = 5/6. Four standard errors.
    assert stability.redrawn.share == pytest.approx(5 / 6, abs=4 * math.sqrt(5 / 36 / num_pairs))
    assert stability.same.share >= 1 - 2 / num_pairs  # latents within the solver's error of the boundary


def test_each_sample_is_measured_in_two_batches_with_independent_other_anchors():
    """The expected numbers are computed sample by sample in explicit batches, with the same random numbers."""
    anchors, batch_size, num_samples = normal(5, 40, 6), 8, 12
    measured = batch_zone_stability(
        anchors, FAST, batch_size=batch_size, num_pairs=2, samples_per_pair=num_samples, generator=seeded(2)
    )
    generator, redrawn, same = seeded(2), 0, 0
    for _ in range(2):
        order = torch.randperm(40, generator=generator)
        samples, others = anchors[order[:num_samples]], anchors[order[num_samples:]]
        other_anchors = [
            others[torch.randperm(len(others), generator=generator)[: batch_size - 1]] for _ in range(2)
        ]
        noise = torch.randn(samples.shape, generator=generator)
        for sample, sample_noise in zip(samples.split(1), noise.split(1), strict=True):
            first, second = (AnchorBank(torch.cat([sample, others])) for others in other_anchors)
            assert first.num_anchors == batch_size
            redrawn += int(is_in_second_zone(FAST, first, second, torch.tensor([0]), sample_noise))
            same += int(is_in_second_zone(FAST, first, first, torch.tensor([0]), sample_noise))
    assert (measured.redrawn.num_latents, measured.same.num_latents) == (24, 24)
    assert round(24 * measured.redrawn.share) == redrawn
    assert round(24 * measured.same.share) == same
    assert redrawn < same


def test_a_coarse_solver_moves_latents_out_of_their_zone_in_the_same_batch():
    coarse = ZoneProtocol(latent_solver=Euler(num_steps=10), zone_solver=Euler(num_steps=10))
    share_outside = [
        1
        - batch_zone_stability(
            normal(11, 200, 16),
            protocol,
            batch_size=32,
            num_pairs=4,
            samples_per_pair=50,
            generator=seeded(8),
        ).same.share
        for protocol in (coarse, FAST)
    ]
    assert share_outside[0] > 0.2
    assert share_outside[1] < 0.05


@pytest.mark.parametrize("solver", [Euler(num_steps=100, g=1e-4), DPMSolver(num_steps=100, g=1e-3)])
def test_a_bank_has_higher_stability_than_minibatches(solver: Euler | DPMSolver):
    anchors = normal(6, 200, 8)
    protocol = ZoneProtocol(latent_solver=solver, zone_solver=solver)
    batches = batch_zone_stability(
        anchors, protocol, batch_size=40, num_pairs=2, samples_per_pair=50, generator=seeded(4)
    )
    bank = bank_zone_stability(AnchorBank(anchors), torch.arange(200), protocol, generator=seeded(5))
    assert bank.num_latents == 200
    assert bank.share > 0.95
    assert batches.redrawn.share < 0.8


def test_a_new_sample_has_a_stable_zone_in_the_bank():
    bank = AnchorBank(normal(7, 50, 8))
    new = normal(8, 40, 8)
    stability = bank_zone_stability(bank, new, FINE, generator=seeded(6))
    assert stability.share > 0.95


def test_equal_seeds_give_equal_results():
    runs = [
        batch_zone_stability(
            normal(9, 30, 4), FAST, batch_size=8, num_pairs=2, samples_per_pair=5, generator=seeded(7)
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_the_standard_error_of_groups_of_one_is_that_of_a_binomial_share():
    in_zone = torch.arange(100)[:, None] < 20
    stability = ZoneStability.from_groups(in_zone)
    assert (stability.share, stability.num_latents) == (pytest.approx(0.2), 100)
    # sqrt(p (1 - p) / n), with n - 1 for the estimate of the variance.
    assert stability.standard_error == pytest.approx(math.sqrt(0.2 * 0.8 / 99))


def test_a_group_of_equal_latents_counts_as_one_latent():
    independent = (torch.arange(50) < 20)[:, None]
    grouped = ZoneStability.from_groups(independent.expand(50, 30))
    assert grouped.num_latents == 1500
    assert grouped.standard_error == pytest.approx(ZoneStability.from_groups(independent).standard_error)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"batch_size": 1}, "batch_size must be at least 2, so that a batch has other anchors; got 1"),
        ({"num_pairs": 1}, "num_pairs must be at least 2, for the standard error; got 1"),
        ({"samples_per_pair": 0}, "samples_per_pair must be at least 1, got 0"),
        ({"batch_size": 4}, "samples_per_pair=3 and batch_size=4 need 6 anchors, but there are 5"),
    ],
)
def test_errors_name_the_invalid_number(numbers: dict[str, int], message: str):
    settings = {"batch_size": 3, "num_pairs": 2, "samples_per_pair": 3, **numbers}
    with pytest.raises(ValueError, match=message):
        batch_zone_stability(normal(10, 5, 2), FAST, generator=seeded(0), **settings)


def test_one_latent_in_a_bank_raises():
    anchors = normal(12, 5, 2)
    with pytest.raises(ValueError, match="the standard error needs 2 independent groups of latents, got 1"):
        bank_zone_stability(AnchorBank(anchors), torch.tensor([0]), FAST, generator=seeded(0))
