"""The anchor bank: latent zones among the anchors of a whole data set instead of one batch (not in the paper).

Each minibatch divides the latent space anew, so one sample's zones in two batches overlap little. A bank holds every
anchor, so a zone does not depend on the other samples of a call. Its flow is that of `lzn.flow.assignment`, for
inference only. Nothing is kept for gradients, so the softmax over the n anchors is taken block by block: with ``m``
the running maximum of a state's logits ``l_j``, the sums of ``exp(l_j - m)`` and ``exp(l_j - m) a_j`` are rescaled by
``exp(m - m')`` when a block raises the maximum to ``m'``. The result is exact.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lzn.base.full_precision import full_precision
from lzn.flow.input_checks import (
    check_alpha,
    check_anchors,
    check_paired,
    check_points,
    check_sample_weights,
    check_weights,
)
from lzn.flow.multistep import Denoiser, integrate
from lzn.flow.precision import dtype_at, flush_subnormals_, working_dtype
from lzn.flow.row_blocks import row_blocks
from lzn.flow.sample_rows import Rows, row_indices
from lzn.flow.solvers import DEFAULT_SOLVER, Solver

Samples = Rows | Tensor
"""Rows of a bank (a slice, int64 indices (m,), or a bool mask (n,)), or new anchors, floating (m, q)."""


class _OwnAnchors(NamedTuple):
    """Shifted anchors of the samples of a call, float64 (m, q), and whether they are no rows of the bank."""

    points: Tensor
    are_new: bool


class AnchorBank:
    """The anchors (n, q) of a data set, and the zones into which they divide the latent space.

    A sample of a call is a row of the bank, given by its index, or a new anchor. A new anchor joins the bank for its
    own sample only, with the mean weight of the bank's rows; its latent is ``compute_latents(keys, noise, rows=...)``,
    where ``keys`` are the bank's rows, followed by the new anchor. Give samples of the bank by their indices: an
    encoder's output in another batch differs in the last digits, and as a new anchor it would double the weight of its
    zone.

    Memory is the anchors in float64, a few tensors of the result's size, and some blocks of
    logits (`lzn.flow.row_blocks`), on CPU of at most 256 x ``anchors_per_block`` numbers.

    Args:
        anchors: (n, q).
        weights: relative mass of each anchor, (n,); by default uniform.
        anchors_per_block: number of anchors in one block of logits.

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
        self._centre = points.mean(dim=0)
        self._points = points - self._centre
        self._squares = self._points.square().sum(dim=1)
        # Relative to the mean weight: a new anchor has log-weight 0.
        self._weights = torch.ones_like(self._squares) if weights is None else weights.detach().double()
        self._log_weights = (self._weights / self._weights.mean()).log()
        self._anchors_per_block = anchors_per_block

    @property
    def num_anchors(self) -> int:
        """Number n of anchors in the bank."""
        return len(self._points)

    @property
    def dim(self) -> int:
        """Number q of dimensions of an anchor."""
        return self._points.shape[1]

    @torch.no_grad()
    def latents(
        self, samples: Samples, noise: Tensor, *, alpha: float = 1.0, solver: Solver = DEFAULT_SOLVER
    ) -> Tensor:
        """Draw one latent from the zone of each sample (Eq. 1 and 4), without gradients.

        Args:
            samples: rows of the bank (a slice, int64 indices (m,), or a bool mask), or new anchors, floating (m, q).
            noise: standard normal, (m, q). Its dtype decides the precision, as in `compute_latents`.
            alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
            solver: `Euler`, `DPMSolver` or `Adams`.

        Returns:
            Latents (m, q), of the dtype of ``noise`` but float32 at least.

        Raises:
            NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError).
            ValueError: shapes do not match, rows are not those of the bank or have weight zero, or alpha is outside
                [0, 1].
        """
        own = self._own_anchors(samples, "noise", noise)
        check_alpha(alpha)
        grid = solver.grid_to_latents()
        state = (1.0 - solver.g) * own.points + (solver.g * alpha) * noise.double()
        dtype = working_dtype(noise)
        state = self._integrate(state, grid, solver, self._denoiser(own, dtype))
        return (state + (1.0 - grid[-1]) * self._centre).to(dtype)

    @torch.no_grad()
    def in_own_zone(self, latents: Tensor, samples: Samples, *, solver: Solver = DEFAULT_SOLVER) -> Tensor:
        """Return whether each latent (m, q) lies in the zone of its sample, as in `latents`: bool (m,).

        The latent is in the zone of the anchor nearest to FM(z; 1). Equal anchors share one zone.

        Raises:
            NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError).
            ValueError: shapes do not match, or rows are not those of the bank or have weight zero.
        """
        own = self._own_anchors(samples, "latents", latents)
        grid = solver.grid_to_anchors()
        state = latents.double() - (1.0 - grid[0]) * self._centre
        denoise = self._denoiser(own, working_dtype(latents))
        end = self._integrate(state, grid, solver, denoise)
        nearest = self._points[self._nearest(end)]
        return (end - own.points).square().sum(dim=1) <= (end - nearest).square().sum(dim=1)

    @staticmethod
    def _integrate(state: Tensor, grid: tuple[float, ...], solver: Solver, denoise: Denoiser) -> Tensor:
        with full_precision(state.device):
            return integrate(state, solver.steps(grid), denoise).double()

    def _denoiser(self, own: _OwnAnchors, dtype: torch.dtype) -> Denoiser:
        def denoise(state: Tensor, tau: float) -> Tensor:
            step_dtype = dtype_at(tau, dtype)
            mean = torch.empty_like(state, dtype=step_dtype)
            for rows in self._row_blocks(state):
                new = own.points[rows].to(step_dtype) if own.are_new else None
                mean[rows] = self._posterior_mean(state[rows].to(step_dtype), new, tau)
            return mean

        return denoise

    def _posterior_mean(self, state: Tensor, new: Tensor | None, tau: float) -> Tensor:
        """Compute the posterior mean (b, q) of a block of states, by a running softmax over blocks of anchors.

        ``new`` are the states' own anchors (b, q), if they are not rows of the bank.
        """
        scale = (1.0 - tau) / tau**2
        half = 0.5 * (1.0 - tau) * scale
        if new is None:
            peak = torch.full_like(state[:, 0], torch.finfo(state.dtype).min)
            total, weighted = torch.zeros_like(peak), torch.zeros_like(state)
        else:
            peak = scale * (state * new).sum(dim=1) - half * new.square().sum(dim=1)
            total, weighted = torch.ones_like(peak), new.clone()
        for keys in self._key_blocks():
            points = self._points[keys].to(state.dtype)
            bias = (self._log_weights[keys] - half * self._squares[keys]).to(state.dtype)
            logits = torch.addmm(bias, state, points.T, alpha=scale)
            raised = torch.maximum(peak, logits.amax(dim=1))
            shrink = (peak - raised).exp_()
            share = flush_subnormals_(logits.sub_(raised[:, None]).exp_())
            total = total * shrink + share.sum(dim=1)
            weighted = weighted.mul_(shrink[:, None]).addmm_(share, points)
            peak = raised
        return weighted / total[:, None]

    def _nearest(self, shifted: Tensor) -> Tensor:
        """Return the index of the bank's row nearest to each shifted point (m, q), int64 (m,)."""
        nearest = torch.zeros(len(shifted), dtype=torch.int64, device=shifted.device)
        for rows in self._row_blocks(shifted):
            min_distance = shifted.new_full((len(shifted[rows]),), torch.inf)
            for keys in self._key_blocks():
                distances = torch.cdist(
                    shifted[rows], self._points[keys], compute_mode="donot_use_mm_for_euclid_dist"
                )
                closest, index = distances.min(dim=1)
                nearest[rows] = torch.where(closest < min_distance, index + keys.start, nearest[rows])
                min_distance = torch.minimum(closest, min_distance)
        return nearest

    def _row_blocks(self, states: Tensor) -> Iterator[slice]:
        num_columns = min(self._anchors_per_block, self.num_anchors)
        return row_blocks(len(states), num_columns=num_columns, dtype=torch.float64, device=states.device)

    def _key_blocks(self) -> Iterator[slice]:
        for start in range(0, self.num_anchors, self._anchors_per_block):
            yield slice(start, start + self._anchors_per_block)

    def _own_anchors(self, samples: Samples, name: str, values: Tensor) -> _OwnAnchors:
        """Return the shifted anchors of the samples, and check that ``values`` (m, q) has a row for each."""
        are_new = isinstance(samples, Tensor) and samples.is_floating_point()
        if isinstance(samples, Tensor) and are_new:
            check_anchors("samples", samples)
            check_points("samples", samples, dim=self.dim)
            points = samples.double() - self._centre
        else:
            rows = row_indices(
                samples, num_anchors=self.num_anchors, num_samples=len(values), device=self._points.device
            )
            check_sample_weights(self._weights, rows)
            points = self._points.index_select(0, rows)
        check_paired(name, values, num_samples=len(points), dim=self.dim)
        return _OwnAnchors(points, are_new)
