"""The memory that a training needs on a device, estimated from one step on the meta device, which computes nothing."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from lzn.base.parallel import BatchShare, Processes
from lzn.base.randomness import BatchRandom
from lzn.networks import checkpoint_activations, keyed_dropout
from lzn.runs.configuration import AnyRun
from lzn.training import Batch, StepInParts
from lzn.training.gradient_sums import GradientSums
from lzn.training.gradients import add_gradients_of
from lzn.training.micro_batches import MicroBatches

GIB = 2**30
FLOAT64_PER_FLOAT32 = 2


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on one device; the CUDA context and the allocator's reserve, about 1 GiB, come on top.

    Attributes:
        state: parameters and buffers, Adam's two moments, and the averages, which are float64.
        step: gradients, activations and intermediate results at the peak of a step.
    """

    state: int
    step: int

    @property
    def total(self) -> int:
        """All bytes."""
        return self.state + self.step


def estimate_memory(
    run: AnyRun, *, num_classes: int, image_size: int, num_processes: int = 1
) -> MemoryEstimate:
    """Estimate the memory that a process needs to train ``run`` with its share of the batch.

    Args:
        run: the run; its precision, micro-batches and recomputation of activations count.
        num_classes: classes of the data set.
        image_size: height and width of the training images; ignored if the run's networks determine them.
        num_processes: processes that share a batch.

    Raises:
        ValueError: the batch is smaller than the number of processes.
    """
    with torch.device("meta"):
        model: nn.Module = run.build_model(num_classes)
    if run.compute.checkpoint_activations:
        checkpoint_activations(model)
    model.to(memory_format=torch.channels_last).train()
    share = Processes(0, num_processes).share_of(run.training.batch_size)
    shape = _image_shape(run, image_size)
    with torch.device("meta"):
        batch = Batch(torch.empty(share.count, *shape), torch.zeros(share.count, dtype=torch.int64))
    tensors = [*model.parameters(), *model.buffers()]
    with (
        _MemoryMeter(known=[*tensors, batch.images]) as meter,
        _Bfloat16Networks.if_used(run.compute.precision),
        _other_processes(num_processes),
    ):
        _take_step(run, model, batch, share)
    own = sum(tensor.nbytes for tensor in tensors)
    trained = sum(parameter.nbytes for parameter in model.parameters())
    return MemoryEstimate(
        state=own + (2 + FLOAT64_PER_FLOAT32) * trained, step=batch.images.nbytes + meter.peak
    )


def _take_step(run: AnyRun, model: Any, batch: Batch, share: BatchShare) -> None:
    """Compute the gradients of one batch, at once or in micro-batches; without their sum over processes."""
    step, random = run.build_step(), _MetaRandom(torch.Generator(), share)
    sums = GradientSums(model, Processes())
    with keyed_dropout(model, share.count, "meta") as dropout:
        size = run.compute.micro_batch_size
        micro_batches = None if size is None else MicroBatches(size, dropout, nullcontext, sums, "meta")
        if micro_batches is not None and micro_batches.are_needed(share):
            assert isinstance(step, StepInParts)  # all studies are
            micro_batches.add_gradients(step, model, batch, random)
        else:
            add_gradients_of(step(model, batch, random), sums, weight=share.weight)


def _image_shape(run: AnyRun, image_size: int) -> tuple[int, ...]:
    """Return the shape of a loaded sample: (c, h, w), or (2, c, h, w) if views are made at loading."""
    if run.study == "representation":
        size = getattr(run.augmentation, "size", image_size)
        image = (run.encoder.image_channels, size, size)
        return image if run.build_views() is None else (2, *image)
    return (run.unet.image_channels, run.unet.image_size, run.unet.image_size)


@contextmanager
def _other_processes(num_processes: int) -> Iterator[None]:
    """Collective operations inside have the shapes of several processes, which do not exist."""
    if num_processes == 1:
        yield
        return
    distributed.init_process_group("fake", rank=0, world_size=num_processes, store=FakeStore())
    try:
        yield
    finally:
        distributed.destroy_process_group()


class _MetaRandom(BatchRandom):
    """Random numbers without values on the meta device, which has no generator."""

    @property
    def _options(self) -> dict[str, Any]:
        return {"device": "meta"}


class _MemoryMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Measures the peak of the bytes of all tensors that are created inside, without those of ``known``."""

    def __init__(self, *, known: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._bytes = 0
        self._live = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._hold(tensor.untyped_storage())
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._live:
            self._live.add(key)
            self._bytes += storage.nbytes()
            weakref.finalize(storage, self._release, key, storage.nbytes())
            self.peak = max(self.peak, self._bytes)

    def _release(self, key: int, num_bytes: int) -> None:
        self._live.discard(key)
        self._bytes -= num_bytes


_IN_BFLOAT16 = (
    functional.conv2d,
    functional.conv_transpose2d,
    functional.linear,
    functional.scaled_dot_product_attention,
)
_IN_FLOAT32 = (functional.group_norm,)


class _Bfloat16Networks(TorchFunctionMode):
    """Casts as autocast does on GPUs, for the operations of the networks; the meta device has no autocast."""

    @staticmethod
    @contextmanager
    def if_used(precision: str) -> Iterator[None]:
        """Cast inside the block if the precision is bfloat16."""
        if precision != "bfloat16":
            yield
            return
        with _Bfloat16Networks():
            yield

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _IN_BFLOAT16:
            args, kwargs = tree_map(_cast_to(torch.bfloat16), (args, kwargs))
        elif func in _IN_FLOAT32:
            args, kwargs = tree_map(_cast_to(torch.float32), (args, kwargs))
        return func(*args, **kwargs)


def _cast_to(dtype: torch.dtype) -> Callable[[Any], Any]:
    def cast(value: Any) -> Any:
        is_network_tensor = isinstance(value, Tensor) and value.dtype in (torch.float32, torch.bfloat16)
        return value.to(dtype) if is_network_tensor else value

    return cast
