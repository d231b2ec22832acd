"""Dropout with one mask per sample, which does not depend on the process that holds the sample.

The mask's bit for (step, layer, sample, element) is a hash of the element's index, a key of the layer and a key of the
sample. Keys are drawn once per step. The forward pass draws nothing, so it can be repeated
(`lzn.networks.recomputation`), compiled, or computed for some rows of the batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom

# Factors of Murmur3's finaliser as signed integers. They are odd, so multiplication modulo 2^32 is invertible.
_FACTORS = (0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32)


class SampleDropout(nn.Module):
    """In training mode, set each element to zero with probability ``p`` and scale the others by 1 / (1 - p).

    Inside `keyed_dropout` masks depend only on that block's keys, and are equal in each call. Outside they are drawn
    from torch's global generator, like those of `torch.nn.Dropout`.

    Raises:
        ValueError: ``p`` is outside [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"p must lie in [0, 1), got {p}")
        self.p = p
        # Not buffers: they are not part of the state dict, and all layers share one tensor of sample keys.
        self.layer_key: Tensor | None = None
        self.sample_keys: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, ...) to (b, ...). Rows may be several views of the samples: first all first views, and so on.

        Raises:
            ValueError: the number of rows is not a multiple of the number of samples.
        """
        if not self.training or self.p == 0.0:
            return x
        keys = self._row_keys(x).view(-1, *[1] * (x.ndim - 1))
        hashed = _hash(self._element_bits(x) ^ keys)
        dropped = hashed < round(self.p * 2**32) - 2**31
        # In place, because masked_fill changes the memory layout.
        return (x * (1.0 / (1.0 - self.p))).masked_fill_(dropped, 0.0)

    def _element_bits(self, x: Tensor) -> Tensor:
        """Return 32 bits for each element of a sample, int32 (1, ...), in the memory layout of ``x``."""
        numbers = torch.arange(x[0].numel(), dtype=torch.int32, device=x.device).view(x.shape[1:])
        bits = _hash(torch.zeros_like(x[:1], dtype=torch.int32) + numbers)
        return bits if self.layer_key is None else _hash(bits ^ self.layer_key)

    def _row_keys(self, x: Tensor) -> Tensor:
        """Return 32 bits for each row, int32 (b,)."""
        if self.sample_keys is None:
            return torch.randint(-(2**31), 2**31, (len(x),), dtype=torch.int32, device=x.device)
        num_views, rest = divmod(len(x), len(self.sample_keys))
        if rest or not num_views:
            raise ValueError(f"dropout has keys for {len(self.sample_keys)} samples, got {len(x)} rows")
        if num_views == 1:
            return self.sample_keys
        views = _hash(torch.arange(num_views, dtype=torch.int32, device=x.device))
        return (views[:, None] ^ self.sample_keys).flatten()


@dataclass(frozen=True)
class DropoutKeys:
    """The keys of all dropout layers of a model. `draw` changes them in place, so compiled code uses the new ones.

    Attributes:
        layers: int32 (layers,).
        samples: int32 (b,), for this process's rows of the batch.
        modules: the dropout layers.
    """

    layers: Tensor
    samples: Tensor
    modules: Sequence[SampleDropout]

    def draw(self, random: BatchRandom) -> None:
        """Draw new keys for one step."""
        if len(self.layers):
            self.layers.random_(-(2**31), 2**31, generator=random.generator)
            self.samples.copy_(random.bits())

    @contextmanager
    def of_rows(self, rows: slice) -> Iterator[None]:
        """Give the layers the keys of some rows of the batch inside the block, which includes their backward pass."""
        self._give(self.samples[rows])
        try:
            yield
        finally:
            self._give(self.samples)

    def _give(self, samples: Tensor) -> None:
        for module in self.modules:
            module.sample_keys = samples


@contextmanager
def keyed_dropout(model: nn.Module, num_samples: int, device: torch.device | str) -> Iterator[DropoutKeys]:
    """Give the dropout layers of ``model`` keys for ``num_samples`` samples inside the block; initially zero."""
    layers = [module for module in model.modules() if isinstance(module, SampleDropout)]
    keys = DropoutKeys(
        layers=torch.zeros(len(layers), dtype=torch.int32, device=device),
        samples=torch.zeros(num_samples, dtype=torch.int32, device=device),
        modules=layers,
    )
    for layer, key in zip(layers, keys.layers.unbind(), strict=True):
        layer.layer_key, layer.sample_keys = key, keys.samples
    try:
        yield keys
    finally:
        for layer in layers:
            layer.layer_key = layer.sample_keys = None


def _hash(bits: Tensor) -> Tensor:
    """Hash int32 numbers. Each operation is a permutation of them, so uniform bits remain exactly uniform."""
    mixed = bits * _FACTORS[0]
    mixed ^= (mixed >> 16) & 0xFFFF  # the shift of a negative number inserts ones
    mixed *= _FACTORS[1]
    return mixed
