"""Precision, compilation, recomputation of activations and micro-batches. They do not change what a run computes."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from lzn.networks import checkpoint_activations


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Settings of speed, memory and rounding.

    Attributes:
        precision: ``"bfloat16"``: matrix products and convolutions of the networks are bfloat16, by autocast.
            Parameters, their averages, the optimiser, the latent flow and the losses are float32 or float64.
            bfloat16 has the range of float32, so losses are not scaled.
        compile: compile the networks' forward and backward passes with `torch.compile`. The first steps of a large
            network take minutes. On CPU this needs a C++ compiler.
        checkpoint_activations: keep only the inputs of the networks' blocks, and compute the rest again in the
            backward pass. This needs much less memory and about a third more time.
        micro_batch_size: largest number of samples of a process that networks compute at once; by default all. The
            gradient is that of the whole batch (`lzn.training.micro_batches`). Memory then does not grow with the
            batch; networks are called more often, and the encoder twice.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    checkpoint_activations: bool = False
    micro_batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f'precision must be "float32" or "bfloat16", got {self.precision!r}')
        if self.micro_batch_size is not None and self.micro_batch_size < 1:
            raise ValueError(f"micro_batch_size must be at least 1, got {self.micro_batch_size}")

    def shaping_values(self) -> dict[str, object]:
        """Return the settings that change the parameters of a step by more than the order of sums."""
        return {"precision": self.precision}

    def prepare(self, model: nn.Module) -> None:
        """Set up the parts of ``model`` in place; the names of its tensors do not change.

        Raises:
            ValueError: no part of the model has blocks that can recompute their activations.
        """
        if self.checkpoint_activations:
            checkpoint_activations(model)
        if self.compile:
            for part in list(model.children()) or [model]:
                part.compile()

    def autocast(self, device: torch.device | str) -> torch.autocast:
        """Return the context for the computation of losses; backward passes run outside it."""
        return torch.autocast(
            torch.device(device).type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )
