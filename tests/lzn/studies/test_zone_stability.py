"""How often latents stay in their zones: closed forms on a line, and minibatches against the bank."""

import math

import pytest
import torch
from lzn_oracles.flow_problems import normal
from scipy.stats import norm
from torch import Tensor

from lzn.flow import AnchorBank, DPMSolver, Euler
from lzn.studies import ZoneQuestion, ZoneStability, bank_zone_stability, batch_zone_stability

FINE = ZoneQuestion(
    latent_solver=Euler(num_steps=400, g=1e-3), zone_solver=Euler(num_steps=400, g=1e-3), alpha=1.0
)


def on_a_line(*anchors: float) -> Tensor:
    return torch.tensor(anchors, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("g", [0.3, 0.4])
def test_theorem_1_on_two_anchors(g: float):
    """A latent of the anchor at -1 lies in the zone of the other at +1 exactly where (1 - g)(-1) + g eps > 0."""
    question = ZoneQuestion(latent_solver=Euler(num_steps=50, g=g), zone_solver=Euler(num_steps=50, g=g))
    bank, m = AnchorBank(on_a_line(-1.0, 1.0)), 4000
    noise = normal(1, m, 1)
    stays = question.stay(bank, bank, on_a_line(-1.0).expand(m, 1), noise)
    assert torch.equal(stays, (noise < (1.0 - g) / g)[:, 0])
    # Four standard errors of the binomial share.
    chance = float(norm.cdf((g - 1.0) / g))
    assert 1.0 - float(stays.double().mean()) == pytest.approx(chance, abs=4 * math.sqrt(chance / m))


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
    stays = FINE.stay(AnchorBank(on_a_line(*first)), AnchorBank(on_a_line(*second)), own, noise)
    # 1/200 for a boundary between two draws, and the steps' error, which moves a boundary by about 1/400.
    assert float(stays.double().mean()) == pytest.approx(expected, abs=0.015)


def test_in_identical_batches_all_latents_stay_but_for_the_solvers_error():
    anchors = 3.0 * normal(2, 16, 8)
    bank = AnchorBank(anchors)
    own, noise = anchors.repeat(10, 1), normal(3, 160, 8)
    stays = FINE.stay(bank, AnchorBank(anchors.clone()), own, noise)
    assert float(stays.double().mean()) > 0.98
    centres = ZoneQuestion(latent_solver=FINE.latent_solver, zone_solver=FINE.zone_solver, alpha=0.0)
    assert bool(centres.stay(bank, bank, anchors, noise[:16]).all())


def test_batches_of_the_whole_set_are_identical_whatever_is_redrawn():
    stability = batch_zone_stability(
        3.0 * normal(4, 12, 8), FINE, batch_size=12, num_trials=10, generator=torch.Generator().manual_seed(1)
    )
    assert stability.num_latents == 10
    assert stability.share >= 0.9  # one at a boundary, as above


def test_a_batch_of_one_keeps_every_latent():
    stability = batch_zone_stability(
        normal(5, 5, 3), FINE, batch_size=1, num_trials=5, generator=torch.Generator().manual_seed(2)
    )
    assert stability.share == 1.0
    assert stability.standard_error == 0.0


def test_minibatches_on_a_line_keep_the_latents_whose_rank_is_kept():
    """Both batches of two from three anchors: ranks agree always for the outer ones, half the time for the middle."""
    num_trials = 150
    stability = batch_zone_stability(
        on_a_line(-3.0, 0.0, 3.0),
        ZoneQuestion(latent_solver=Euler(num_steps=60, g=1e-3), zone_solver=Euler(num_steps=60, g=1e-3)),
        batch_size=2,
        num_trials=num_trials,
        generator=torch.Generator().manual_seed(3),
    )
    # 2/3 + 1/3 * 1/2 = 5/6. Four standard errors.
    assert stability.share == pytest.approx(5 / 6, abs=4 * math.sqrt(5 / 36 / num_trials))


@pytest.mark.parametrize("solver", [Euler(num_steps=100, g=1e-4), DPMSolver(num_steps=100, g=1e-3)])
def test_the_bank_restores_what_minibatches_lose(solver: Euler | DPMSolver):
    anchors = normal(6, 200, 8)
    question = ZoneQuestion(latent_solver=solver, zone_solver=FINE.zone_solver)
    batches = batch_zone_stability(
        anchors, question, batch_size=40, num_trials=40, generator=torch.Generator().manual_seed(4)
    )
    bank = bank_zone_stability(
        AnchorBank(anchors), anchors, question, generator=torch.Generator().manual_seed(5)
    )
    assert bank.num_latents == 200
    assert bank.share > 0.95
    assert batches.share < 0.8


def test_a_sample_that_is_no_row_of_the_bank_has_a_zone_of_its_own():
    bank = AnchorBank(normal(7, 50, 8))
    new = normal(8, 40, 8)
    stability = bank_zone_stability(bank, new, FINE, generator=torch.Generator().manual_seed(6))
    assert stability.share > 0.95


def test_the_same_seed_draws_the_same_trials():
    runs = [
        batch_zone_stability(
            normal(9, 30, 4), FINE, batch_size=8, num_trials=4, generator=torch.Generator().manual_seed(7)
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_standard_error_is_that_of_a_binomial_share():
    assert ZoneStability(num_latents=100, num_stayed=20).standard_error == pytest.approx(0.04)


def test_errors_say_what_to_do():
    generator = torch.Generator()
    with pytest.raises(ValueError, match=r"batch_size must lie in \[1, 5\], the number of anchors, got 6"):
        batch_zone_stability(normal(10, 5, 2), FINE, batch_size=6, num_trials=1, generator=generator)
    with pytest.raises(ValueError, match="num_trials must be at least 1"):
        batch_zone_stability(normal(10, 5, 2), FINE, batch_size=2, num_trials=0, generator=generator)
