"""How a run is computed: precision, compilation and recomputation of activations. What it computes is the same."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn

from lzn.networks import checkpoint_activations


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Settings that trade speed, memory and rounding.

    Attributes:
        precision: ``"bfloat16"`` computes the networks' matrix products and convolutions in bfloat16, by autocast.
            Parameters, their averages, the optimiser, the latent flow and the losses stay in float32 or better;
            bfloat16 has float32's range, so losses are not scaled.
        compile: compile the networks' forward and backward passes with `torch.compile`. The first steps take
            minutes for a large network. Needs a C++ compiler on CPU.
        checkpoint_activations: keep only the inputs of the networks' blocks and compute the rest again in the
            backward pass: much less memory for about a third more time.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    checkpoint_activations: bool = False

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f'precision is {self.precision!r}: it must be "float32" or "bfloat16"')

    def prepare(self, model: nn.Module) -> None:
        """Set up the parts of ``model``, in place; the names of its tensors stay as they are.

        Raises:
            ValueError: no part of the model has blocks that can recompute their activations.
        """
        if self.checkpoint_activations:
            checkpoint_activations(model)
        if self.compile:
            for part in model.children():
                part.compile()

    def autocast(self, device: torch.device | str) -> torch.autocast:
        """The context in which losses are computed; backward passes belong outside of it."""
        return torch.autocast(
            torch.device(device).type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )
