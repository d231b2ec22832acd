"""How often does a latent stay in its sample's zone when the rest of the batch is redrawn? (the reviews' experiment)

A latent is drawn from its sample's zone among one batch's anchors; then it is asked whether it also lies in that
sample's zone among another batch that shares nothing but the sample. The paper's authors report 49 % for minibatches.
With an anchor bank there is no rest of the batch, so what is missing to 100 % is the error of the solvers. That can be
most of it: over 20 of Euler's steps many latents end outside their zones even among the same anchors. A batch measured
as a bank of its own, with `bank_zone_stability`, tells the two apart.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.flow import AnchorBank, Solver


@dataclass(frozen=True)
class ZoneStability:
    """How many of some latents stayed in their zone."""

    num_latents: int
    num_stayed: int

    @property
    def share(self) -> float:
        """The share that stayed, from 0 to 1."""
        return self.num_stayed / self.num_latents

    @property
    def standard_error(self) -> float:
        """Standard error of `share` over independent latents."""
        return math.sqrt(self.share * (1.0 - self.share) / self.num_latents)


@dataclass(frozen=True, kw_only=True)
class ZoneQuestion:
    """How latents are drawn, and how their zone is found.

    Attributes:
        latent_solver: solver from the anchors to the latents.
        zone_solver: solver from the latents to the anchors, which decides the zone.
        alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
    """

    latent_solver: Solver
    zone_solver: Solver
    alpha: float = 1.0

    def stay(self, first: AnchorBank, second: AnchorBank, anchors: Tensor, noise: Tensor) -> Tensor:
        """Whether latents drawn among ``first`` lie in their samples' zones among ``second``: bool (m,).

        Args:
            first: anchors among which the latents are drawn.
            second: anchors among which their zones are sought.
            anchors: the samples' anchors (m, q); where they are missing in a bank, they join it as `AnchorBank` says.
            noise: standard normal, (m, q); float64 noise computes in float64.

        Raises:
            ValueError: as `AnchorBank.latents`.
        """
        latents = first.latents(anchors, noise, alpha=self.alpha, solver=self.latent_solver)
        return second.in_own_zone(latents, anchors, solver=self.zone_solver)


def batch_zone_stability(
    anchors: Tensor, question: ZoneQuestion, *, batch_size: int, num_trials: int, generator: torch.Generator
) -> ZoneStability:
    """Redraw the rest of a minibatch ``num_trials`` times, each for a sample of its own.

    Args:
        anchors: the anchors of the data set, (n, q), that samples and the rest of both batches are drawn from. Within
            a batch nothing is drawn twice.
        question: how latents are drawn and zones found.
        batch_size: anchors in each batch, the sample's included.
        num_trials: how many times a sample and two batches are drawn.
        generator: on the device of ``anchors``.

    Raises:
        ValueError: ``batch_size`` is not in [1, n], or ``num_trials`` is below 1.
    """
    if not 1 <= batch_size <= len(anchors):
        raise ValueError(
            f"batch_size must lie in [1, {len(anchors)}], the number of anchors, got {batch_size}"
        )
    if num_trials < 1:
        raise ValueError(f"num_trials must be at least 1, got {num_trials}")
    num_stayed = 0
    for _ in range(num_trials):
        sample = _draw(len(anchors), 1, generator)
        first, second = (
            AnchorBank(anchors[torch.cat([sample, _others(sample, len(anchors), batch_size - 1, generator)])])
            for _ in range(2)
        )
        noise = torch.randn((1, anchors.shape[1]), generator=generator, device=anchors.device)
        num_stayed += int(question.stay(first, second, anchors[sample], noise))
    return ZoneStability(num_trials, num_stayed)


def bank_zone_stability(
    bank: AnchorBank, anchors: Tensor, question: ZoneQuestion, *, generator: torch.Generator
) -> ZoneStability:
    """One latent of each sample (m, q) among all of the bank's anchors, and whether the bank finds it in its zone.

    Args:
        bank: the anchors that divide the latent space.
        anchors: the samples' anchors, (m, q), rows of the bank or not.
        question: how latents are drawn and zones found.
        generator: on the device of ``anchors``.

    Raises:
        ValueError: as `AnchorBank.latents`.
    """
    noise = torch.randn(anchors.shape, generator=generator, device=anchors.device)
    return ZoneStability(len(anchors), int(question.stay(bank, bank, anchors, noise).sum()))


def _others(sample: Tensor, num_anchors: int, count: int, generator: torch.Generator) -> Tensor:
    """Indices (count,) of different anchors, none of which is ``sample`` (1,)."""
    drawn = _draw(num_anchors - 1, count, generator)
    return drawn + (drawn >= sample)


def _draw(num: int, count: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(num, generator=generator, device=generator.device)[:count]
