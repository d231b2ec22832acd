"""How often does a latent stay in its sample's zone when the rest of the batch is redrawn? (the reviews' experiment)

A latent is drawn from its sample's zone among one batch's anchors; then it is asked whether it also lies in that
sample's zone among another batch that shares nothing but the sample. The paper's authors report 49 % for minibatches.
With an anchor bank there is no rest of the batch, so what is missing to 100 % is the error of the solvers. That can be
most of it: over 20 of Euler's steps many latents end outside their zones even among the same anchors. So every batch
is also asked for the zones of its own latents: that share, and the bank's, are what the solvers can do.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.flow import AnchorBank, Solver


@dataclass(frozen=True)
class ZoneStability:
    """How many of some latents stayed in their zone.

    Attributes:
        share: the share that stayed, from 0 to 1.
        standard_error: of the share.
        num_latents: how many latents there were.
    """

    share: float
    standard_error: float
    num_latents: int

    @staticmethod
    def of(stayed: Tensor) -> "ZoneStability":
        """From whether latents stayed, bool (g, k): g independent groups of k that may depend on each other.

        Raises:
            ValueError: there is one group only, which says nothing of the error.
        """
        num_groups = len(stayed)
        if num_groups < 2:
            raise ValueError(f"the standard error needs 2 independent groups of latents, got {num_groups}")
        shares = stayed.double().mean(dim=1)
        return ZoneStability(
            share=float(shares.mean()),
            standard_error=float(shares.std()) / math.sqrt(num_groups),
            num_latents=stayed.numel(),
        )


@dataclass(frozen=True)
class BatchZoneStability:
    """Latents drawn among a batch's anchors, and which of them stayed in their zones.

    Attributes:
        redrawn: among the anchors of another batch, which shares the latent's sample alone.
        same: among those of the very batch they were drawn in; what is missing to 1 is the solvers' error.
    """

    redrawn: ZoneStability
    same: ZoneStability


@dataclass(frozen=True, kw_only=True)
class ZoneProtocol:
    """How latents are drawn, and how their zone is found.

    Attributes:
        latent_solver: solver from the anchors to the latents.
        zone_solver: solver from the latents to the anchors, which decides the zone.
        alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
    """

    latent_solver: Solver
    zone_solver: Solver
    alpha: float = 1.0

    def draw(self, bank: AnchorBank, anchors: Tensor, noise: Tensor) -> Tensor:
        """Latents (m, q) of the samples with ``anchors`` (m, q) among the bank's, with standard normal noise (m, q).

        A sample whose anchor is missing in the bank joins it as `AnchorBank` says; float64 noise computes in float64.

        Raises:
            ValueError: as `AnchorBank.latents`.
        """
        return bank.latents(anchors, noise, alpha=self.alpha, solver=self.latent_solver)

    def is_in_zone(self, bank: AnchorBank, anchors: Tensor, latents: Tensor) -> Tensor:
        """Whether latents (m, q) lie in the zones that their samples have among the bank's anchors: bool (m,).

        Raises:
            ValueError: as `AnchorBank.in_own_zone`.
        """
        return bank.in_own_zone(latents, anchors, solver=self.zone_solver)


def batch_zone_stability(
    anchors: Tensor,
    protocol: ZoneProtocol,
    *,
    batch_size: int,
    num_pairs: int,
    samples_per_pair: int,
    generator: torch.Generator,
) -> BatchZoneStability:
    """Redraw the rest of a minibatch ``num_pairs`` times, each time for ``samples_per_pair`` samples.

    The rests of two batches, of ``batch_size`` - 1 anchors each, are drawn independently of each other. Every sample
    joins them by itself, so that its two batches share it, and beside it what chance drew into both rests. The samples
    of one pair have their rests in common, which the standard error accounts for.

    Args:
        anchors: the anchors of the data set, (n, q), that samples and rests are drawn from. Within a batch nothing is
            drawn twice.
        protocol: how latents are drawn and zones found.
        batch_size: anchors in each batch, the sample's included.
        num_pairs: how many times the rests of two batches are drawn.
        samples_per_pair: samples for each of these pairs, none of which is in the rests.
        generator: on the device of ``anchors``.

    Raises:
        ValueError: the anchors are too few for a rest and the samples, or a number is too small.
    """
    _check_numbers(
        len(anchors), batch_size=batch_size, num_pairs=num_pairs, samples_per_pair=samples_per_pair
    )
    redrawn, same = [], []
    for _ in range(num_pairs):
        order = _shuffled(anchors, generator)
        samples, others = order[:samples_per_pair], order[samples_per_pair:]
        first, second = (AnchorBank(_shuffled(others, generator)[: batch_size - 1]) for _ in range(2))
        latents = protocol.draw(first, samples, _noise_like(samples, generator))
        redrawn.append(protocol.is_in_zone(second, samples, latents))
        same.append(protocol.is_in_zone(first, samples, latents))
    return BatchZoneStability(
        redrawn=ZoneStability.of(torch.stack(redrawn)), same=ZoneStability.of(torch.stack(same))
    )


def bank_zone_stability(
    bank: AnchorBank, anchors: Tensor, protocol: ZoneProtocol, *, generator: torch.Generator
) -> ZoneStability:
    """One latent of each sample (m, q) among all of the bank's anchors, and whether the bank finds it in its zone.

    Args:
        bank: the anchors that divide the latent space.
        anchors: the samples' anchors, (m, q), rows of the bank or not; two at least.
        protocol: how latents are drawn and zones found.
        generator: on the device of ``anchors``.

    Raises:
        ValueError: as `AnchorBank.latents`, or there is one sample only.
    """
    latents = protocol.draw(bank, anchors, _noise_like(anchors, generator))
    return ZoneStability.of(protocol.is_in_zone(bank, anchors, latents)[:, None])


def _check_numbers(num_anchors: int, *, batch_size: int, num_pairs: int, samples_per_pair: int) -> None:
    if batch_size < 2:
        raise ValueError(f"batch_size must be at least 2, or nothing can be redrawn; got {batch_size}")
    if num_pairs < 2:
        raise ValueError(f"num_pairs must be at least 2, or there is no standard error; got {num_pairs}")
    if samples_per_pair < 1:
        raise ValueError(f"samples_per_pair must be at least 1, got {samples_per_pair}")
    if samples_per_pair + batch_size - 1 > num_anchors:
        raise ValueError(
            f"{samples_per_pair} samples and the rest of a batch of {batch_size} are more than the {num_anchors} "
            "anchors that there are"
        )


def _shuffled(anchors: Tensor, generator: torch.Generator) -> Tensor:
    return anchors[torch.randperm(len(anchors), generator=generator, device=anchors.device)]


def _noise_like(anchors: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(anchors.shape, generator=generator, device=anchors.device)
