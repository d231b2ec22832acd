"""The gradient of a training step: all samples at once, or in micro-batches, with the random numbers of the step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom, generator_for
from lzn.networks import keyed_dropout
from lzn.training.compute import Compute
from lzn.training.gradient_sums import GradientSums
from lzn.training.micro_batches import MicroBatches
from lzn.training.step import Losses, StepInParts, TrainingStep

AddGradients = Callable[[Any, int], Losses]
"""Maps a batch and the number of its step to losses of own samples; adds the global gradient to the parameters'."""


@contextmanager
def gradients_of(
    model: Any,
    step: TrainingStep[Any],
    compute: Compute,
    *,
    batch_size: int,
    seed: int,
    device: torch.device | str,
    processes: Processes,
) -> Iterator[AddGradients]:
    """Yield the function that computes the gradients of the steps of a training.

    Raises:
        ValueError: micro-batches are set, but the step is not a `StepInParts`; or the batch is smaller than the number
            of processes.
    """
    share = processes.share_of(batch_size)
    sums = GradientSums(model, processes)
    with keyed_dropout(model, share.count, device) as dropout:
        micro_batches = None
        if compute.micro_batch_size is not None:
            if not isinstance(step, StepInParts):
                raise ValueError(
                    "micro_batch_size is set, but the training step is not a StepInParts: remove it"
                )
            micro_batches = MicroBatches(
                compute.micro_batch_size, dropout, lambda: compute.autocast(device), sums, device
            )

        def add_gradients(batch: Any, number: int) -> Losses:
            dropout.draw(BatchRandom(generator_for(seed, "dropout", number, device=device), share))
            random = BatchRandom(generator_for(seed, "step", number, device=device), share)
            if micro_batches is not None and micro_batches.are_needed(share):
                assert isinstance(step, StepInParts)
                return micro_batches.add_gradients(step, model, batch, random)
            with compute.autocast(device):
                losses = step(model, batch, random)
            add_gradients_of(losses, sums, weight=share.weight)
            return losses

        try:
            yield add_gradients
        finally:
            sums.close()


def add_gradients_of(losses: Losses, sums: GradientSums, *, weight: float) -> None:
    """Run the backward pass of own losses, with this process's weight, and sum gradients over processes."""
    sums.restart()
    with sums.last_backward():
        (losses.total * weight).backward()  # type: ignore[no-untyped-call]
