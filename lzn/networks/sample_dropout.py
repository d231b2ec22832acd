"""Dropout whose masks belong to samples: the same ones whichever process a sample is in, and in a second computation.

A mask's bit for (step, layer, sample, element) is a hash of an element's number, a key of the layer and a key of the
sample, both drawn anew in each step. So nothing is drawn in the forward pass, which may be repeated
(`lzn.networks.recomputation`), compiled, or done for some rows of the batch only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom

# Of Murmur3's finaliser, as signed numbers. Odd: multiplying by them modulo 2^32 can be undone.
_FACTORS = (0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32)


class SampleDropout(nn.Module):
    """Sets each element to zero with probability ``p`` and scales the others by 1 / (1 - p); in training alone.

    Inside of `keyed_dropout` its masks depend on that block's keys alone, and are the same in each call; outside of it
    they are drawn from torch's global generator, as those of `torch.nn.Dropout`.

    Raises:
        ValueError: ``p`` is outside [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"p must lie in [0, 1), got {p}")
        self.p = p
        # No buffers: they are no part of the model's state, and all layers share one tensor of sample keys.
        self.layer_key: Tensor | None = None
        self.sample_keys: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(b, ...) to (b, ...). The batch's rows may be several views of its samples, one view after the other.

        Raises:
            ValueError: the number of rows is no multiple of the number of samples.
        """
        if not self.training or self.p == 0.0:
            return x
        keys = self._row_keys(x).view(-1, *[1] * (x.ndim - 1))
        hashed = _mix(self._element_bits(x) ^ keys)
        dropped = hashed < round(self.p * 2**32) - 2**31
        # In place: the other form of masked_fill changes the memory layout.
        return (x * (1.0 / (1.0 - self.p))).masked_fill_(dropped, 0.0)

    def _element_bits(self, x: Tensor) -> Tensor:
        """32 bits for each element of a sample, int32 (1, ...), in the memory layout of ``x``."""
        numbers = torch.arange(x[0].numel(), dtype=torch.int32, device=x.device).view(x.shape[1:])
        bits = _mix(torch.zeros_like(x[:1], dtype=torch.int32) + numbers)
        return bits if self.layer_key is None else _mix(bits ^ self.layer_key)

    def _row_keys(self, x: Tensor) -> Tensor:
        """32 bits for each row, int32 (b,)."""
        if self.sample_keys is None:
            return torch.randint(-(2**31), 2**31, (len(x),), dtype=torch.int32, device=x.device)
        num_views, rest = divmod(len(x), len(self.sample_keys))
        if rest or not num_views:
            raise ValueError(f"dropout has keys for {len(self.sample_keys)} samples, got {len(x)} rows")
        if num_views == 1:
            return self.sample_keys
        views = _mix(torch.arange(num_views, dtype=torch.int32, device=x.device))
        return (views[:, None] ^ self.sample_keys).flatten()


@dataclass(frozen=True)
class DropoutKeys:
    """The keys of all dropout layers of a model; `draw` changes them in place, so that compiled code sees it.

    Attributes:
        layers: int32 (layers,).
        samples: int32 (b,): own rows of the batch.
    """

    layers: Tensor
    samples: Tensor

    def draw(self, random: BatchRandom) -> None:
        """New keys, for one step."""
        if len(self.layers):
            self.layers.random_(-(2**31), 2**31, generator=random.generator)
            self.samples.copy_(random.bits())


@contextmanager
def keyed_dropout(model: nn.Module, num_samples: int, device: torch.device | str) -> Iterator[DropoutKeys]:
    """Give the dropout layers of ``model`` keys for ``num_samples`` samples inside the block; all are zero at first."""
    layers = [module for module in model.modules() if isinstance(module, SampleDropout)]
    keys = DropoutKeys(
        layers=torch.zeros(len(layers), dtype=torch.int32, device=device),
        samples=torch.zeros(num_samples, dtype=torch.int32, device=device),
    )
    for layer, key in zip(layers, keys.layers.unbind(), strict=True):
        layer.layer_key, layer.sample_keys = key, keys.samples
    try:
        yield keys
    finally:
        for layer in layers:
            layer.layer_key = layer.sample_keys = None


def _mix(bits: Tensor) -> Tensor:
    """Hash int32 numbers, each step a permutation of them: uniform bits stay exactly uniform."""
    mixed = bits * _FACTORS[0]
    mixed ^= (mixed >> 16) & 0xFFFF  # the shift of a negative number brings in ones
    mixed *= _FACTORS[1]
    return mixed
