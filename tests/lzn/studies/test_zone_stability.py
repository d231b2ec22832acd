"""How often latents stay in their zones: closed forms on a line, and minibatches against the bank."""

import math

import pytest
import torch
from lzn_testing.oracles.flow_problems import normal
from scipy.stats import norm
from torch import Tensor

from lzn.flow import AnchorBank, DPMSolver, Euler
from lzn.studies import ZoneProtocol, ZoneStability, bank_zone_stability, batch_zone_stability

FINE = ZoneProtocol(
    latent_solver=Euler(num_steps=400, g=1e-3), zone_solver=Euler(num_steps=400, g=1e-3), alpha=1.0
)

FAST = ZoneProtocol(latent_solver=DPMSolver(num_steps=40), zone_solver=DPMSolver(num_steps=40))


def stays(
    question: ZoneProtocol, first: AnchorBank, second: AnchorBank, anchors: Tensor, noise: Tensor
) -> Tensor:
    """Whether latents drawn among the first bank's anchors lie in their zones among the second's."""
    return question.is_in_zone(second, anchors, question.draw(first, anchors, noise))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def on_a_line(*anchors: float) -> Tensor:
    return torch.tensor(anchors, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("g", [0.3, 0.4])
def test_theorem_1_on_two_anchors(g: float):
    """A latent of the anchor at -1 lies in the zone of the other at +1 exactly where (1 - g)(-1) + g eps > 0."""
    question = ZoneProtocol(latent_solver=Euler(num_steps=50, g=g), zone_solver=Euler(num_steps=50, g=g))
    bank, m = AnchorBank(on_a_line(-1.0, 1.0)), 4000
    noise = normal(1, m, 1)
    stayed = stays(question, bank, bank, on_a_line(-1.0).expand(m, 1), noise)
    assert torch.equal(stayed, (noise < (1.0 - g) / g)[:, 0])
    # Four standard errors of the binomial share.
    chance = float(norm.cdf((g - 1.0) / g))
    assert 1.0 - float(stayed.double().mean()) == pytest.approx(chance, abs=4 * math.sqrt(chance / m))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            (-2.0, 2.0),
            (-2.0, 1.0, 3.0),
            2 / 3,
        ),  # [0, 1/2] of the latents' quantiles, of which [0, 1/3] is left
        ((-2.0, 2.0), (-2.0, 1.0), 1.0),  # another batch of the same order: the same quantiles
        ((-2.0, 2.0), (-2.0, -4.0), 0.0),  # of another order: [1/2, 1]
        ((-2.0, 2.0, 4.0), (-2.0, 4.0), 1.0),  # [0, 1/3] lies within [0, 1/2]
        ((-2.0, -4.0, 2.0), (-2.0, 4.0), 1 / 2),  # [1/3, 2/3], of which [1/3, 1/2] is left
    ],
)
def test_on_a_line_zones_are_quantiles(first: tuple[float, ...], second: tuple[float, ...], expected: float):
    """The flow keeps the order of points: the k-th of n anchors has the normal quantiles from k/n to (k+1)/n."""
    m = 200
    quantiles = (torch.arange(m, dtype=torch.float64) + 0.5) / m
    noise = torch.special.ndtri(quantiles)[:, None]  # evenly over the zone
    own = on_a_line(-2.0).expand(m, 1)
    stayed = stays(FINE, AnchorBank(on_a_line(*first)), AnchorBank(on_a_line(*second)), own, noise)
    # 1/200 for a boundary between two draws, and the steps' error, which moves a boundary by about 1/400.
    assert float(stayed.double().mean()) == pytest.approx(expected, abs=0.015)


def test_in_identical_batches_all_latents_stay_but_for_the_solvers_error():
    anchors = 3.0 * normal(2, 16, 8)
    bank = AnchorBank(anchors)
    own, noise = anchors.repeat(10, 1), normal(3, 160, 8)
    stayed = stays(FINE, bank, AnchorBank(anchors.clone()), own, noise)
    assert float(stayed.double().mean()) > 0.98
    centres = ZoneProtocol(latent_solver=FINE.latent_solver, zone_solver=FINE.zone_solver, alpha=0.0)
    assert bool(stays(centres, bank, bank, anchors, noise[:16]).all())


def test_batches_of_the_whole_set_are_identical_whatever_is_redrawn():
    anchors = 3.0 * normal(4, 12, 8)
    stability = batch_zone_stability(
        anchors, FAST, batch_size=12, num_pairs=10, samples_per_pair=1, generator=seeded(1)
    )
    assert stability.redrawn == stability.same
    assert stability.redrawn.num_latents == 10
    assert stability.redrawn.share >= 0.9  # one at a boundary, as above


def test_minibatches_on_a_line_keep_the_latents_whose_rank_is_kept():
    """Both batches of two from three anchors: ranks agree always for the outer ones, half the time for the middle."""
    num_pairs = 100
    solver = Euler(num_steps=40, g=1e-3)
    stability = batch_zone_stability(
        on_a_line(-3.0, 0.0, 3.0),
        ZoneProtocol(latent_solver=solver, zone_solver=solver),
        batch_size=2,
        num_pairs=num_pairs,
        samples_per_pair=1,
        generator=seeded(3),
    )
    # 2/3 + 1/3 * 1/2 = 5/6. Four standard errors.
    assert stability.redrawn.share == pytest.approx(5 / 6, abs=4 * math.sqrt(5 / 36 / num_pairs))
    assert stability.same.share >= 1 - 2 / num_pairs  # latents within a step's error of the boundary


def test_the_samples_of_a_pair_are_each_measured_in_two_batches_that_share_nothing_else():
    """As one sample after the other, in batches written out, with the same draws."""
    anchors, batch_size, num_samples = normal(5, 40, 6), 8, 12
    measured = batch_zone_stability(
        anchors, FAST, batch_size=batch_size, num_pairs=2, samples_per_pair=num_samples, generator=seeded(2)
    )
    draws, redrawn, same = seeded(2), 0, 0
    for _ in range(2):
        order = torch.randperm(40, generator=draws)
        samples, others = anchors[order[:num_samples]], anchors[order[num_samples:]]
        rests = [others[torch.randperm(len(others), generator=draws)[: batch_size - 1]] for _ in range(2)]
        noise = torch.randn(samples.shape, generator=draws)
        for sample, its_noise in zip(samples.split(1), noise.split(1), strict=True):
            first, second = (AnchorBank(torch.cat([sample, rest])) for rest in rests)
            assert first.num_anchors == batch_size
            redrawn += int(stays(FAST, first, second, sample, its_noise))
            same += int(stays(FAST, first, first, sample, its_noise))
    assert (measured.redrawn.num_latents, measured.same.num_latents) == (24, 24)
    assert round(24 * measured.redrawn.share) == redrawn
    assert round(24 * measured.same.share) == same
    assert redrawn < same


def test_a_coarse_solver_loses_latents_in_the_very_batch_that_they_were_drawn_in():
    coarse = ZoneProtocol(latent_solver=Euler(num_steps=10), zone_solver=Euler(num_steps=10))
    lost = [
        1
        - batch_zone_stability(
            normal(11, 200, 16),
            question,
            batch_size=32,
            num_pairs=4,
            samples_per_pair=50,
            generator=seeded(8),
        ).same.share
        for question in (coarse, FAST)
    ]
    assert lost[0] > 0.2
    assert lost[1] < 0.05


@pytest.mark.parametrize("solver", [Euler(num_steps=100, g=1e-4), DPMSolver(num_steps=100, g=1e-3)])
def test_the_bank_restores_what_minibatches_lose(solver: Euler | DPMSolver):
    anchors = normal(6, 200, 8)
    question = ZoneProtocol(latent_solver=solver, zone_solver=solver)
    batches = batch_zone_stability(
        anchors, question, batch_size=40, num_pairs=2, samples_per_pair=50, generator=seeded(4)
    )
    bank = bank_zone_stability(AnchorBank(anchors), anchors, question, generator=seeded(5))
    assert bank.num_latents == 200
    assert bank.share > 0.95
    assert batches.redrawn.share < 0.8


def test_a_sample_that_is_no_row_of_the_bank_has_a_zone_of_its_own():
    bank = AnchorBank(normal(7, 50, 8))
    new = normal(8, 40, 8)
    stability = bank_zone_stability(bank, new, FINE, generator=seeded(6))
    assert stability.share > 0.95


def test_the_same_seed_draws_the_same_trials():
    runs = [
        batch_zone_stability(
            normal(9, 30, 4), FAST, batch_size=8, num_pairs=2, samples_per_pair=5, generator=seeded(7)
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_the_standard_error_of_single_latents_is_that_of_a_binomial_share():
    stayed = torch.arange(100)[:, None] < 20
    stability = ZoneStability.of(stayed)
    assert (stability.share, stability.num_latents) == (pytest.approx(0.2), 100)
    # sqrt(p (1 - p) / n), and n - 1 for the variance's estimate
    assert stability.standard_error == pytest.approx(math.sqrt(0.2 * 0.8 / 99))


def test_latents_of_one_group_that_always_agree_count_as_one():
    independent = (torch.arange(50) < 20)[:, None]
    grouped = ZoneStability.of(independent.expand(50, 30))
    assert grouped.num_latents == 1500
    assert grouped.standard_error == pytest.approx(ZoneStability.of(independent).standard_error)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"batch_size": 1}, "batch_size must be at least 2, or nothing can be redrawn; got 1"),
        ({"num_pairs": 1}, "num_pairs must be at least 2, or there is no standard error; got 1"),
        ({"samples_per_pair": 0}, "samples_per_pair must be at least 1, got 0"),
        ({"batch_size": 4}, "3 samples and the rest of a batch of 4 are more than the 5 anchors"),
    ],
)
def test_errors_say_what_to_do(numbers: dict[str, int], message: str):
    settings = {"batch_size": 3, "num_pairs": 2, "samples_per_pair": 3, **numbers}
    with pytest.raises(ValueError, match=message):
        batch_zone_stability(normal(10, 5, 2), FAST, generator=seeded(0), **settings)


def test_one_latent_in_a_bank_is_no_measurement():
    anchors = normal(12, 5, 2)
    with pytest.raises(ValueError, match="the standard error needs 2 independent groups of latents, got 1"):
        bank_zone_stability(AnchorBank(anchors), anchors[:1], FAST, generator=seeded(0))
