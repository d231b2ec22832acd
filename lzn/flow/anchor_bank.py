"""Latents among the anchors of a whole training set, instead of one batch's: the anchor bank (beyond the paper).

A minibatch divides the latent space anew each time, so that one sample's zones in two batches overlap little. A bank
holds every anchor, and zones are the same whatever is asked together. Its flow is the one of `lzn.flow.assignment`,
for inference only, so nothing is kept for gradients and the softmax over the n anchors can be taken block by block:
with the running maximum ``m`` of a state's logits, ``sum_j exp(l_j - m)`` and ``sum_j exp(l_j - m) a_j`` are rescaled
by ``exp(m - m')`` whenever a block raises the maximum to ``m'``. That is exact, and of n rows only one block meets the
states at a time.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from lzn.flow.assignment import (
    EARLY_NOISE_LEVEL,
    check_anchors,
    check_points,
    check_weights,
    in_full_precision,
    row_blocks,
    without_subnormals_,
    working_dtype,
)
from lzn.flow.latent_computation import DEFAULT_SOLVER
from lzn.flow.multistep import Denoiser, integrate
from lzn.flow.solvers import Solver


class AnchorBank:
    """The anchors (n, q) of a whole data set and the zones they divide the latent space into.

    **Whose zones.** Each sample sees the bank's anchors and its own one. An anchor that equals a row of the bank, value
    for value in float64, is that row. Any other joins the bank for its own sample alone, with the mean weight of the
    bank's rows. So sample i's latent is that of ``compute_latents(anchors[i:i+1], noise[i:i+1], all_anchors=keys)``,
    where ``keys`` are the bank's rows, followed by ``anchors[i:i+1]`` if it is new; the rest of the call's samples
    have no part in it. Take the anchors of the bank's own samples from the tensor that built it: an encoder's output
    in another batch differs in the last digits, and counts as a new anchor beside its twin: a zone twice as large.

    Beyond the anchors, in float64, and a few tensors of the size of the result, memory is 256 times
    ``anchors_per_block``.

    Args:
        anchors: (n, q).
        weights: relative mass of each anchor, (n,); by default uniform.
        anchors_per_block: how many of the n anchors meet the states at once.

    Raises:
        NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError).
        ValueError: anchors or weights have the wrong shape, weights are negative or sum to zero, or
            ``anchors_per_block`` is below 1.
    """

    def __init__(
        self, anchors: Tensor, *, weights: Tensor | None = None, anchors_per_block: int = 1024
    ) -> None:
        check_anchors("anchors", anchors)
        check_weights(weights, len(anchors))
        if anchors_per_block < 1:
            raise ValueError(f"anchors_per_block must be at least 1, got {anchors_per_block}")
        points = anchors.detach().double()
        self._rows = frozenset(_fingerprints(points))
        self._centre = points.mean(dim=0)
        self._points = points - self._centre
        self._squares = self._points.square().sum(dim=1)
        # relative to the mean weight, so that an anchor from outside has log-weight 0
        masses = torch.ones_like(self._squares) if weights is None else weights.detach().double()
        self._log_weights = (masses / masses.mean()).log()
        self._anchors_per_block = anchors_per_block

    @property
    def num_anchors(self) -> int:
        """How many anchors the bank holds, n."""
        return len(self._points)

    @torch.no_grad()
    def latents(
        self, anchors: Tensor, noise: Tensor, *, alpha: float = 1.0, solver: Solver = DEFAULT_SOLVER
    ) -> Tensor:
        """Draw one latent from the zone of each sample among all of the bank's (Eq. 1 and 4), without gradients.

        Args:
            anchors: the samples' own anchors, (m, q), rows of the bank or not.
            noise: standard normal, (m, q). It decides the precision, as in `compute_latents`.
            alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
            solver: `Euler`, `DPMSolver` or `Adams`.

        Returns:
            Latents (m, q), of the dtype of ``noise`` but float32 at least.

        Raises:
            NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError).
            ValueError: shapes do not fit, or alpha is outside [0, 1].
        """
        self._check_pair("noise", noise, anchors)
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
        own = anchors.double() - self._centre
        grid = solver.grid_to_latents()
        state = (1.0 - solver.g) * own + (solver.g * alpha) * noise.double()
        dtype = working_dtype(noise)
        state = self._integrate(state, grid, solver, self._denoiser(own, self._are_new(anchors), dtype))
        return (state + (1.0 - grid[-1]) * self._centre).to(dtype)

    @torch.no_grad()
    def in_own_zone(self, latents: Tensor, anchors: Tensor, *, solver: Solver = DEFAULT_SOLVER) -> Tensor:
        """Whether each latent (m, q) lies in the zone of its sample's anchor (m, q): bool (m,).

        The latent flows to the anchors, FM(z; 1), and belongs to the one nearest to where it arrives. Among anchors
        at the same place, zones are one.

        Raises:
            NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError).
            ValueError: shapes do not fit.
        """
        self._check_pair("latents", latents, anchors)
        own = anchors.double() - self._centre
        grid = solver.grid_to_anchors()
        state = latents.double() - (1.0 - grid[0]) * self._centre
        denoise = self._denoiser(own, self._are_new(anchors), working_dtype(latents))
        arrived = self._integrate(state, grid, solver, denoise)
        nearest = self._points[self._nearest(arrived)]
        return (arrived - own).square().sum(dim=1) <= (arrived - nearest).square().sum(dim=1)

    @staticmethod
    def _integrate(state: Tensor, grid: tuple[float, ...], solver: Solver, denoise: Denoiser) -> Tensor:
        with in_full_precision(state.device):
            return integrate(state, solver.steps(grid), denoise).double()

    def _denoiser(self, own: Tensor, new: Tensor, dtype: torch.dtype) -> Denoiser:
        def denoise(state: Tensor, tau: float) -> Tensor:
            at = torch.float64 if tau < EARLY_NOISE_LEVEL else dtype
            mean = torch.empty_like(state, dtype=at)
            for rows in row_blocks(len(state)):
                mean[rows] = self._posterior_mean(state[rows].to(at), own[rows].to(at), new[rows], tau)
            return mean

        return denoise

    def _posterior_mean(self, state: Tensor, own: Tensor, new: Tensor, tau: float) -> Tensor:
        """Posterior mean (b, q) of the anchor of a block of states, by a softmax that runs over the anchors."""
        scale = (1.0 - tau) / tau**2
        half = 0.5 * (1.0 - tau) * scale
        # the softmax begins with the own anchor where that is no row of the bank, and with nothing elsewhere
        own_logit = scale * (state * own).sum(dim=1) - half * own.square().sum(dim=1)
        peak = torch.where(new, own_logit, torch.finfo(state.dtype).min)
        total = new.to(state.dtype)
        weighted = own * total[:, None]
        for keys in self._key_blocks():
            points = self._points[keys].to(state.dtype)
            bias = (self._log_weights[keys] - half * self._squares[keys]).to(state.dtype)
            logits = torch.addmm(bias, state, points.T, alpha=scale)
            raised = torch.maximum(peak, logits.amax(dim=1))
            shrink = (peak - raised).exp_()
            share = without_subnormals_(logits.sub_(raised[:, None]).exp_())
            total = total * shrink + share.sum(dim=1)
            weighted = weighted.mul_(shrink[:, None]).addmm_(share, points)
            peak = raised
        return weighted / total[:, None]

    def _nearest(self, shifted: Tensor) -> Tensor:
        """Index of the bank's row nearest to each shifted point (m, q), int64 (m,)."""
        nearest = torch.zeros(len(shifted), dtype=torch.int64, device=shifted.device)
        for rows in row_blocks(len(shifted)):
            least = shifted.new_full((len(shifted[rows]),), torch.inf)
            for keys in self._key_blocks():
                distances = torch.cdist(
                    shifted[rows], self._points[keys], compute_mode="donot_use_mm_for_euclid_dist"
                )
                closest, index = distances.min(dim=1)
                nearest[rows] = torch.where(closest < least, index + keys.start, nearest[rows])
                least = torch.minimum(closest, least)
        return nearest

    def _key_blocks(self) -> Iterator[slice]:
        for start in range(0, self.num_anchors, self._anchors_per_block):
            yield slice(start, start + self._anchors_per_block)

    def _are_new(self, anchors: Tensor) -> Tensor:
        is_new = [fingerprint not in self._rows for fingerprint in _fingerprints(anchors.detach().double())]
        return torch.tensor(is_new, device=anchors.device)

    def _check_pair(self, name: str, rows: Tensor, anchors: Tensor) -> None:
        check_anchors("anchors", anchors)
        check_points("anchors", anchors, dim=self._points.shape[1])
        check_points(name, rows, dim=self._points.shape[1])
        if len(rows) != len(anchors):
            raise ValueError(
                f"{name} must have one row for each of the {len(anchors)} anchors, got {len(rows)}"
            )


def _fingerprints(points: Tensor) -> list[bytes]:
    """A digest of each row of float64 points (n, q): equal rows have equal ones."""
    rows = (points + 0.0).cpu().numpy()  # -0.0 + 0.0 is 0.0
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
