"""Activation checkpointing: blocks save only their inputs and recompute activations in the backward pass."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class RecomputableBlock(nn.Module):
    """Base class of blocks whose ``forward`` is `recomputable`.

    Attributes:
        recomputes: whether activations are recomputed instead of saved; set by `checkpoint_activations`, by default
            False. Not part of the state dict.
    """

    recomputes: bool = False


Forward = TypeVar("Forward", bound=Callable[..., Tensor])


def recomputable(forward: Forward) -> Forward:
    """Decorate a block's ``forward`` to use activation checkpointing if the block's ``recomputes`` is True.

    The recomputation has the autocast settings and the state of the global generator of the first computation.
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

    Memory is then about that of the blocks' inputs, and each step costs one more forward pass. Gradients do not change
    (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").

    Raises:
        ValueError: the network has no such block.
    """
    blocks = [module for module in network.modules() if isinstance(module, RecomputableBlock)]
    if not blocks:
        raise ValueError(
            f"{type(network).__name__} has no block that can recompute its activations: set "
            "checkpoint_activations to false"
        )
    for block in blocks:
        block.recomputes = True
