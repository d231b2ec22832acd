"""Activation checkpointing: blocks that keep only their inputs and compute the rest again in the backward pass."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class RecomputableBlock(nn.Module):
    """A block of a network whose ``forward`` is `recomputable`.

    Attributes:
        recomputes: whether it computes its activations twice instead of keeping them; set by
            `checkpoint_activations`, off by default. It is a way to compute, not part of the state.
    """

    recomputes: bool = False


Forward = TypeVar("Forward", bound=Callable[..., Tensor])


def recomputable(forward: Forward) -> Forward:
    """Let a block's ``forward`` run under activation checkpointing where the block says so.

    The second computation sees the autocast settings of the first, and what is drawn from the global generator.
    """

    @wraps(forward)
    def forward_or_checkpoint(self: RecomputableBlock, *inputs: Tensor | None) -> Tensor:
        if not (self.recomputes and torch.is_grad_enabled()):
            return forward(self, *inputs)
        output: Tensor = checkpoint(forward, self, *inputs, use_reentrant=False)
        return output

    return cast(Forward, forward_or_checkpoint)


def checkpoint_activations(network: nn.Module) -> None:
    """Make the residual, attention and bottleneck blocks of ``network`` recompute their activations.

    Memory falls to about the blocks' inputs, for one more forward pass a step; gradients stay the same (Chen et al.
    2016, "Training Deep Nets with Sublinear Memory Cost").

    Raises:
        ValueError: the network has no such block.
    """
    blocks = [module for module in network.modules() if isinstance(module, RecomputableBlock)]
    if not blocks:
        raise ValueError(
            f"{type(network).__name__} has no block that can recompute its activations: switch "
            "checkpoint_activations off for it"
        )
    for block in blocks:
        block.recomputes = True
