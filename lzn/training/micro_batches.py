"""The gradient of a step, computed a few samples at a time: activations of these few only are in memory.

Samples have an effect on each other only through their anchors, which are small. So (as in Gao et al. 2021, "Scaling
Deep Contrastive Learning Batch Size under Memory Limited Setup", called GradCache):

1. Each micro-batch is encoded; its activations are dropped.
2. Latents and alignment are computed of all anchors.
3. Each micro-batch is decoded, with a backward pass to the decoder and to the micro-batch's latents.
4. A backward pass goes from latents and alignment to all anchors.
5. Each micro-batch is encoded again, with a backward pass from its anchors to the encoder.

The sums are those of the whole batch in another order. Only 2 and 4 use collective operations, so processes may have
different numbers of micro-batches.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lzn.base.nested_tensors import map_tensors
from lzn.base.parallel import BatchShare
from lzn.base.randomness import BatchRandom, GlobalGenerators
from lzn.networks import DropoutKeys
from lzn.training.gradient_sums import GradientSums
from lzn.training.step import Losses, StepInParts, sum_of_losses


@dataclass(frozen=True)
class MicroBatches:
    """Adds the gradient of a step to that of the parameters, micro-batch by micro-batch.

    Attributes:
        size: number of samples of a micro-batch, at most; their sizes differ by at most one.
        dropout: the keys of dropout for all samples of this process.
        autocast: returns the context of forward passes; backward passes run outside it.
        sums: sums the gradients over processes.
        device: the device of the training.
    """

    size: int
    dropout: DropoutKeys
    autocast: Callable[[], AbstractContextManager[object]]
    sums: GradientSums
    device: torch.device | str

    def are_needed(self, share: BatchShare) -> bool:
        """Return whether a process has more samples than fit in a micro-batch; all processes get the same answer."""
        return max(share.sizes) > self.size

    def add_gradients(self, step: StepInParts[Any], model: Any, batch: Any, random: BatchRandom) -> Losses:
        """Add the gradient of this process's part of the loss, and sum gradients over processes.

        Returns:
            Losses without gradient, means over the samples of this process.

        Raises:
            NonFiniteAnchorsError: as the step; no gradient was computed.
        """
        share = random.share
        with self.autocast():
            samples = step.prepare(batch, random)
        parts = [
            _Part(rows, map_tensors(partial(_rows_of, rows=rows), samples))
            for rows in self._rows(share.count)
        ]
        anchors, states = self._encode(step, model, parts)
        with self.autocast():
            coupled = step.couple(model, samples, anchors, random)
        ends: list[tuple[Tensor | None, Tensor | None]] = []
        if coupled.losses is not None:
            ends.append((coupled.losses.total, torch.full_like(coupled.losses.total, share.weight)))
        decoded, grad_latents = self._decode(step, model, parts, coupled.latents, share)
        ends.append((coupled.latents, grad_latents))
        own = None if coupled.losses is None else _part_of_mean(coupled.losses, 1.0)
        losses = sum_of_losses(own, decoded)
        _backward(ends)
        del coupled, ends
        self._encode_again(step, model, parts, [a.grad for a in anchors], states)
        return losses

    def _encode(
        self, step: StepInParts[Any], model: Any, parts: Sequence["_Part"]
    ) -> tuple[tuple[Tensor, ...], list[list[Tensor]]]:
        """Return the anchors of all samples as leaves, and the states of the global generators before each part."""
        encoded: list[tuple[Tensor, ...]] = []
        states = []
        requires_grad: list[bool] = []
        for part in parts:
            states.append(GlobalGenerators.of(self.device).states())
            with self.dropout.of_rows(part.rows), self.autocast():
                # With a graph, although it is dropped: `torch.compile` compiles another graph without gradient.
                anchors = step.encode(model, part.samples)
            requires_grad = [a.requires_grad for a in anchors]
            encoded.append(tuple(a.detach() for a in anchors))
            del anchors  # and its graph, before the next micro-batch has one
        columns = [torch.cat(column) for column in zip(*encoded, strict=True)]
        return tuple(
            a.requires_grad_(needed) for a, needed in zip(columns, requires_grad, strict=True)
        ), states

    def _decode(
        self,
        step: StepInParts[Any],
        model: Any,
        parts: Sequence["_Part"],
        latents: Tensor | None,
        share: BatchShare,
    ) -> tuple[Losses | None, Tensor | None]:
        """Return the losses of all samples and the gradient of their latents; each may be None."""
        total: Losses | None = None
        gradients = []
        for part in parts:
            own = None
            if latents is not None:
                own = latents.detach()[part.rows].requires_grad_(latents.requires_grad)
            with self.dropout.of_rows(part.rows):
                with self.autocast():
                    losses = step.decode(model, part.samples, own)
                if losses is None:
                    return None, None
                fraction = part.num_samples / share.count
                _backward([(losses.total, torch.full_like(losses.total, fraction * share.weight))])
            mean = _part_of_mean(losses, fraction)
            total = mean if total is None else total + mean
            del losses
            if own is not None and own.grad is not None:
                gradients.append(own.grad)
        return total, torch.cat(gradients) if gradients else None

    def _encode_again(
        self,
        step: StepInParts[Any],
        model: Any,
        parts: Sequence["_Part"],
        gradients: Sequence[Tensor | None],
        states: Sequence[Sequence[Tensor]],
    ) -> None:
        """Add the encoder's gradient, given those of the anchors."""
        self.sums.restart()
        needed = any(gradient is not None for gradient in gradients)
        generators = GlobalGenerators.of(self.device)
        after = generators.states()
        for part, state in zip(parts, states, strict=True):
            is_last = part is parts[-1]
            with self.dropout.of_rows(part.rows), self.sums.last_backward() if is_last else nullcontext():
                if not needed:
                    continue
                generators.restore(state)
                with self.autocast():
                    anchors = step.encode(model, part.samples)
                own = [None if gradient is None else gradient[part.rows] for gradient in gradients]
                _backward(list(zip(anchors, own, strict=True)))
                del anchors
        generators.restore(after)

    def _rows(self, count: int) -> list[slice]:
        number = math.ceil(count / self.size)
        return [slice(k * count // number, (k + 1) * count // number) for k in range(number)]


@dataclass(frozen=True)
class _Part:
    """A micro-batch: its rows among the samples of this process, and these samples."""

    rows: slice
    samples: Any

    @property
    def num_samples(self) -> int:
        count: int = self.rows.stop - self.rows.start
        return count


def _part_of_mean(losses: Losses, fraction: float) -> Losses:
    """Return what samples, a ``fraction`` of all, add to the means over all; without gradient."""
    metrics = {name: value.detach() * fraction for name, value in losses.metrics.items()}
    return Losses(losses.total.detach() * fraction, metrics)


def _rows_of(tensor: Tensor, rows: slice) -> Tensor:
    return tensor[rows]


def _backward(ends: Sequence[tuple[Tensor | None, Tensor | None]]) -> None:
    """Run one backward pass from tensors with their gradients; those without gradient are left out."""
    tensors, gradients = [], []
    for tensor, gradient in ends:
        if tensor is not None and gradient is not None and tensor.requires_grad:
            tensors.append(tensor)
            gradients.append(gradient)
    if tensors:
        torch.autograd.backward(tensors, gradients)
