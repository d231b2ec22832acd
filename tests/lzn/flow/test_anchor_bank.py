"""The anchor bank's latents, computed block by block, equal those of `compute_latents`."""

import pytest
import torch
from lzn_testing.oracles import literal_flow
from lzn_testing.oracles.flow_problems import leaf, normal, positive, relative_error
from torch import Tensor

from lzn.flow import AnchorBank, DPMSolver, Euler, NonFiniteAnchorsError, Solver, compute_latents
from lzn.flow.row_blocks import MAX_ROWS_ON_CPU

SOLVERS = [Euler(num_steps=20, g=1e-4), DPMSolver(num_steps=20, g=1e-3)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
by_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
N, M, Q = 60, 9, 6

# Sums over blocks are rounded differently. Rounding in float64 at noise level g is multiplied by up to 1/g = 1e4;
# rounding in float32, from tau = 0.3 on, by a few times.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def latents_one_by_one(
    bank: Tensor, weights: Tensor, own: Tensor, noise: Tensor, solver: Solver, *, alpha: float = 0.7
) -> Tensor:
    """Compute each sample's latent among the bank's rows and the sample's anchor, of mean weight."""
    masses = torch.cat([weights, weights.mean()[None]])
    rows = [
        compute_latents(
            torch.cat([bank, a]), eps, rows=slice(N, None), weights=masses, solver=solver, alpha=alpha
        )
        for a, eps in zip(own[:, None], noise[:, None], strict=True)
    ]
    return torch.cat(rows)


@by_dtype
@pytest.mark.parametrize("anchors_per_block", [1, 7, N, 1000])
@by_solver
def test_latents_of_the_banks_rows_equal_those_of_compute_latents(
    solver: Solver, anchors_per_block: int, dtype: torch.dtype
):
    anchors, noise = normal(1, N, Q).to(dtype), normal(2, M, Q).to(dtype)
    bank = AnchorBank(anchors, anchors_per_block=anchors_per_block)
    expected = compute_latents(anchors, noise, rows=slice(M), solver=solver)
    latents = bank.latents(slice(M), noise, solver=solver)
    assert latents.dtype == dtype
    assert relative_error(latents, expected) < TOLERANCE[dtype]


@by_solver
def test_latents_equal_the_formula(solver: Solver):
    anchors, noise, weights = normal(3, N, Q), normal(4, M, Q), positive(5, N)
    latents = AnchorBank(anchors, weights=weights, anchors_per_block=11).latents(
        slice(M), noise, solver=solver
    )
    expected = literal_flow.latents(anchors[:M], noise, solver, all_anchors=anchors, weights=weights)
    # The formula's logits are differences of numbers of size |a|^2 / g^2 = 1e9, rounded at 1e-7.
    assert relative_error(latents, expected) < 1e-8


@by_dtype
@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
@by_solver
def test_a_new_anchor_joins_the_bank_only_for_its_own_sample(
    solver: Solver, weighted: bool, dtype: torch.dtype
):
    anchors, own, noise = normal(6, N, Q).to(dtype), normal(7, M, Q).to(dtype), normal(8, M, Q).to(dtype)
    weights = positive(9, N).to(dtype) if weighted else torch.ones(N)
    bank = AnchorBank(anchors, weights=weights if weighted else None, anchors_per_block=16)
    latents = bank.latents(own, noise, solver=solver, alpha=0.7)
    expected = latents_one_by_one(anchors, weights, own, noise, solver)
    assert relative_error(latents, expected) < TOLERANCE[dtype]


def test_a_member_of_the_bank_is_given_by_its_row_and_not_by_its_value():
    """As a new anchor, a member that was encoded again, 1e-7 away, doubles the weight of its zone."""
    anchors, noise = normal(10, N, Q), normal(12, M, Q)
    bank = AnchorBank(anchors)
    expected = compute_latents(anchors, noise, rows=slice(M))
    for rows in (slice(M), torch.arange(M), torch.arange(N) < M):
        assert relative_error(bank.latents(rows, noise), expected) < 1e-10
    encoded_again = bank.latents(anchors[:M] + 1e-7, noise)
    twice = latents_one_by_one(anchors, torch.ones(N), anchors[:M] + 1e-7, noise, Euler(), alpha=1.0)
    assert relative_error(encoded_again, twice) < 1e-6
    assert relative_error(encoded_again, expected) > 0.01


def test_equal_values_are_new_anchors_like_others():
    anchors, noise = normal(10, N, Q), normal(12, M, Q)
    bank = AnchorBank(anchors)
    equal, near = bank.latents(anchors[:M], noise), bank.latents(anchors[:M] + 1e-9, noise)
    assert relative_error(equal, near) < 1e-3


def test_a_row_of_weight_zero_has_no_zone():
    weights = torch.ones(N)
    weights[3] = 0
    bank = AnchorBank(normal(19, N, Q), weights=weights)
    for call in (bank.latents, lambda rows, noise: bank.in_own_zone(noise, rows)):
        with pytest.raises(ValueError, match="anchor 3 has weight zero"):
            call(slice(M), normal(20, M, Q))
    assert bank.latents(slice(4, 4 + M), normal(20, M, Q)).isfinite().all()


def test_more_states_than_one_block_give_the_same_latents():
    m = MAX_ROWS_ON_CPU + 40
    anchors, noise = normal(13, m, Q), normal(14, m, Q)
    assert (
        relative_error(AnchorBank(anchors).latents(slice(m), noise), compute_latents(anchors, noise)) < 1e-10
    )


@pytest.mark.parametrize("scale", [0.01, 5.0])
@by_dtype
@by_solver
def test_anchors_far_from_the_origin_give_the_same_latents(solver: Solver, dtype: torch.dtype, scale: float):
    anchors = (100.0 + scale * normal(15, N, Q)).to(dtype)
    noise = normal(16, M, Q).to(dtype)
    expected = compute_latents(anchors, noise, rows=slice(M), solver=solver)
    latents = AnchorBank(anchors, anchors_per_block=13).latents(slice(M), noise, solver=solver)
    assert relative_error(latents, expected) < TOLERANCE[dtype]


@by_solver
def test_duplicate_anchors_act_as_one_anchor_of_twice_the_weight(solver: Solver):
    anchors, noise = normal(17, N, Q), normal(18, M, Q)
    twice = torch.cat([anchors, anchors[:M]])
    latents = AnchorBank(twice, anchors_per_block=8).latents(slice(M), noise, solver=solver)
    expected = compute_latents(twice, noise, rows=slice(M), solver=solver)
    assert relative_error(latents, expected) < 1e-10
    weights = 2 * (torch.arange(N) < M).double() + (torch.arange(N) >= M).double()
    merged = AnchorBank(anchors, weights=weights).latents(slice(M), noise, solver=solver)
    assert relative_error(latents, merged) < 1e-10


def test_blocks_of_anchors_of_weight_zero_have_no_effect():
    anchors, noise = normal(19, N, Q), normal(20, M, Q)
    weights = torch.ones(N)
    weights[:20] = 0.0  # all anchors of the first four blocks
    bank = AnchorBank(anchors, weights=weights, anchors_per_block=5)
    expected = compute_latents(anchors[20:], noise, rows=slice(M))
    assert relative_error(bank.latents(slice(20, 20 + M), noise), expected) < 1e-10


def test_a_bank_of_one_anchor_returns_the_noise():
    noise = normal(23, 1, Q)
    # With one anchor the flow is straight: (1 - g) a + g eps at noise level g, eps at noise level 1.
    assert relative_error(AnchorBank(normal(24, 1, Q)).latents(slice(1), noise), noise) < 1e-10


def test_latents_have_no_gradient():
    anchors, noise = leaf(normal(27, N, Q)), leaf(normal(28, M, Q))
    bank = AnchorBank(anchors)
    latents = bank.latents(slice(M), noise)
    assert not latents.requires_grad


def test_latents_do_not_depend_on_autocast():
    anchors, noise = normal(29, N, Q).float(), normal(30, M, Q).float()
    bank = AnchorBank(anchors)
    plain = bank.latents(slice(M), noise)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(bank.latents(slice(M), noise), plain)


def test_errors_name_the_invalid_input():
    anchors, noise = normal(33, N, Q), normal(34, M, Q)
    bank = AnchorBank(anchors)
    assert bank.num_anchors == N
    with pytest.raises(ValueError, match="anchors_per_block must be at least 1, got 0"):
        AnchorBank(anchors, anchors_per_block=0)
    with pytest.raises(NonFiniteAnchorsError, match="hold NaN"):
        AnchorBank(anchors * torch.nan)
    with pytest.raises(ValueError, match=r"weights must have shape \(60,\)"):
        AnchorBank(anchors, weights=torch.ones(2))
    with pytest.raises(ValueError, match="one row for each of the 4 samples, got 9"):
        bank.latents(slice(4), noise)
    with pytest.raises(ValueError, match="must have 6 columns"):
        bank.latents(anchors[:M, :3], noise)
    with pytest.raises(ValueError, match="alpha must lie"):
        bank.latents(slice(M), noise, alpha=1.5)
    with pytest.raises(ValueError, match="latents must have one row"):
        bank.in_own_zone(noise[:2], slice(M))
