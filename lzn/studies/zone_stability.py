"""The share of latents that remain in their sample's zone when the rest of the batch is replaced (the reviews).

A latent is drawn from its sample's zone among one batch's anchors. It is then tested whether it also lies in the
sample's zone among another batch, which has only this sample in common. The paper's authors report 49 % for
minibatches. The solvers' error also moves latents out of their zones: with 20 Euler steps, often even among the same
anchors. So each latent is also tested in the batch it was drawn in. That share, and the share for an anchor bank, which
has no other batch, are the upper limits that the solvers allow.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.flow import AnchorBank, Solver
from lzn.flow.anchor_bank import Samples


@dataclass(frozen=True)
class ZoneStability:
    """Share of latents in their zone.

    Attributes:
        share: from 0 to 1.
        standard_error: standard error of ``share``.
        num_latents: number of latents.
    """

    share: float
    standard_error: float
    num_latents: int

    @staticmethod
    def from_groups(in_zone: Tensor) -> "ZoneStability":
        """Compute it from bool (g, k): g independent groups of k latents; latents of a group may be dependent.

        Raises:
            ValueError: there are fewer than 2 groups, so there is no standard error.
        """
        num_groups = len(in_zone)
        if num_groups < 2:
            raise ValueError(f"the standard error needs 2 independent groups of latents, got {num_groups}")
        shares = in_zone.double().mean(dim=1)
        return ZoneStability(
            share=float(shares.mean()),
            standard_error=float(shares.std()) / math.sqrt(num_groups),
            num_latents=in_zone.numel(),
        )


@dataclass(frozen=True)
class BatchZoneStability:
    """Shares of latents, drawn among a batch's anchors, in their zones.

    Attributes:
        redrawn: zones among another batch, which has only the latent's sample in common.
        same: zones among the batch that the latents were drawn in; 1 - ``same.share`` is the solvers' error.
    """

    redrawn: ZoneStability
    same: ZoneStability


@dataclass(frozen=True, kw_only=True)
class ZoneProtocol:
    """Settings of how latents are drawn and zones are found.

    Attributes:
        latent_solver: solver from the anchors to the latents.
        zone_solver: solver from the latents to the anchors, which finds the zone.
        alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
    """

    latent_solver: Solver
    zone_solver: Solver
    alpha: float = 1.0

    def draw(self, bank: AnchorBank, samples: Samples, noise: Tensor) -> Tensor:
        """Draw latents (m, q) of samples among the bank's anchors, with standard normal noise (m, q).

        Samples are rows of the bank or new anchors (m, q), which join it for their own sample (see `AnchorBank`).

        Raises:
            ValueError: as `AnchorBank.latents`.
        """
        return bank.latents(samples, noise, alpha=self.alpha, solver=self.latent_solver)

    def is_in_zone(self, bank: AnchorBank, samples: Samples, latents: Tensor) -> Tensor:
        """Return whether latents (m, q) lie in their samples' zones among the bank's anchors: bool (m,).

        Raises:
            ValueError: as `AnchorBank.in_own_zone`.
        """
        return bank.in_own_zone(latents, samples, solver=self.zone_solver)


def batch_zone_stability(
    anchors: Tensor,
    protocol: ZoneProtocol,
    *,
    batch_size: int,
    num_pairs: int,
    samples_per_pair: int,
    generator: torch.Generator,
) -> BatchZoneStability:
    """Measure zone stability in ``num_pairs`` pairs of minibatches, with ``samples_per_pair`` samples each.

    For each pair, two sets of ``batch_size`` - 1 other anchors are drawn independently (so they may overlap). Each
    sample joins both sets separately, so a batch is one sample and one set. Samples of a pair have the sets in common,
    which the standard error takes into account.

    Args:
        anchors: the anchors of the data set, (n, q), from which samples and sets are drawn without replacement.
        protocol: how latents are drawn and zones are found.
        batch_size: number of anchors in each batch, including the sample's.
        num_pairs: number of pairs of batches.
        samples_per_pair: number of samples for each pair; none of them is in the sets.
        generator: on the device of ``anchors``.

    Raises:
        ValueError: there are too few anchors for one set and the samples, or a number is too small.
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
        redrawn=ZoneStability.from_groups(torch.stack(redrawn)),
        same=ZoneStability.from_groups(torch.stack(same)),
    )


def bank_zone_stability(
    bank: AnchorBank, samples: Tensor, protocol: ZoneProtocol, *, generator: torch.Generator
) -> ZoneStability:
    """Measure zone stability in a bank: draw one latent of each sample, and test whether it lies in its zone.

    Args:
        bank: the anchors that define the zones.
        samples: indices of the bank's rows, int64 (m,), or new anchors (m, q); at least two.
        protocol: how latents are drawn and zones are found.
        generator: on the device of ``samples`` and the bank.

    Raises:
        ValueError: as `AnchorBank.latents`, or there is only one sample.
    """
    noise = torch.randn((len(samples), bank.dim), generator=generator, device=samples.device)
    latents = protocol.draw(bank, samples, noise)
    return ZoneStability.from_groups(protocol.is_in_zone(bank, samples, latents)[:, None])


def _check_numbers(num_anchors: int, *, batch_size: int, num_pairs: int, samples_per_pair: int) -> None:
    if batch_size < 2:
        raise ValueError(
            f"batch_size must be at least 2, so that a batch has other anchors; got {batch_size}"
        )
    if num_pairs < 2:
        raise ValueError(f"num_pairs must be at least 2, for the standard error; got {num_pairs}")
    if samples_per_pair < 1:
        raise ValueError(f"samples_per_pair must be at least 1, got {samples_per_pair}")
    if samples_per_pair + batch_size - 1 > num_anchors:
        raise ValueError(
            f"samples_per_pair={samples_per_pair} and batch_size={batch_size} need "
            f"{samples_per_pair + batch_size - 1} anchors, but there are {num_anchors}"
        )


def _shuffled(anchors: Tensor, generator: torch.Generator) -> Tensor:
    return anchors[torch.randperm(len(anchors), generator=generator, device=anchors.device)]


def _noise_like(anchors: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(anchors.shape, generator=generator, device=anchors.device)
