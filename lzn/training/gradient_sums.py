"""Sums of gradients over processes, computed while the backward pass of a step still runs.

As in PyTorch's DistributedDataParallel, gradients are put into buckets in the order in which the backward pass computes
them, and a bucket is sent as soon as it is complete. The order is that of the first step in process 0, so all processes
send the same buckets in the same order. Unlike there, a step may have several backward passes: only the last one, which
the caller marks, completes gradients (`lzn.training.micro_batches`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from lzn.base.parallel import Processes

MAX_BUCKET_BYTES = 25 * 2**20
"""Largest total size of gradients that are sent together."""


class GradientSums:
    """Sums the gradients of ``model`` over ``processes``; with a single process, nothing is done.

    All processes must compute gradients of the same parameters in a step.
    """

    def __init__(self, model: nn.Module, processes: Processes) -> None:
        self._processes = processes
        self._parameters = list(model.parameters()) if processes.count > 1 else []
        self._is_trained: list[bool] = []
        self._order: list[int] = []
        """Numbers of the parameters in the order of their gradients; empty before the first step."""
        self._buckets: list[list[int]] = []
        self._in_last_pass = False
        self._arrived: dict[int, None] = {}
        """Numbers of the parameters whose gradient was added to since `restart`, in order."""
        self.num_sent = 0
        """Number of buckets that were sent in the last backward pass so far."""
        self._sends: list[distributed.Work] = []
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(lambda _, number=number: self._arrive(number))  # type: ignore[no-untyped-call]
            for number, parameter in enumerate(self._parameters)
            if parameter.requires_grad
        ]

    def close(self) -> None:
        """Remove the hooks of the parameters."""
        for hook in self._hooks:
            hook.remove()

    def restart(self) -> None:
        """Forget which gradients were computed so far."""
        self._arrived = {}

    @contextmanager
    def last_backward(self) -> Iterator[None]:
        """Mark the last backward pass of a step, which runs inside the block; then wait for the sums.

        If a backward pass since the last `restart` was like this one, gradients that it did not change are complete
        when the block begins.
        """
        if self._processes.count == 1:
            yield
            return
        self._forget_order_of_other_parameters()
        complete = [number for number in self._with_gradient() if number not in self._arrived]
        self._arrived = dict.fromkeys(complete if self._arrived else [])
        self._in_last_pass, self.num_sent, self._sends = True, 0, []
        try:
            self._send_complete_buckets()
            yield
        finally:
            self._in_last_pass = False
        self._finish()

    def _arrive(self, number: int) -> None:
        self._arrived[number] = None
        if self._in_last_pass:
            self._send_complete_buckets()

    def _send_complete_buckets(self) -> None:
        while self.num_sent < len(self._buckets) and all(
            number in self._arrived for number in self._buckets[self.num_sent]
        ):
            self._send(self._buckets[self.num_sent])
            self.num_sent += 1

    @torch.no_grad()
    def _send(self, numbers: list[int]) -> None:
        """Sum the gradients of some parameters over the processes; they become views of one tensor."""
        if not numbers:
            return
        parameters = [self._parameters[number] for number in numbers]
        flat = torch.cat([_in_memory_order(p, p.grad) for p in parameters if p.grad is not None])
        parts = torch.split(flat, [p.numel() for p in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.as_strided(parameter.shape, torch.empty_like(parameter).stride())
        work = distributed.all_reduce(flat, async_op=True)
        assert work is not None
        self._sends.append(work)

    def _finish(self) -> None:
        """Send the gradients that were not sent, and wait for all sums."""
        present = self._with_gradient()
        others = [number for number in present if number not in self._order]
        for bucket in [*self._buckets[self.num_sent :], *self._divided(others)]:
            self._send([number for number in bucket if number in present])
        for work in self._sends:
            work.wait()
        self._sends = []
        if not self._order:
            self._keep_order()

    def _with_gradient(self) -> list[int]:
        return [number for number, parameter in enumerate(self._parameters) if parameter.grad is not None]

    def _keep_order(self) -> None:
        """Take over the order of gradients in process 0."""
        numbers = list(dict.fromkeys([*self._arrived, *self._with_gradient()]))
        if not numbers:
            return
        order = torch.tensor(numbers, device=self._parameters[numbers[0]].device)
        self._processes.broadcast_([order])
        self._order = order.tolist()
        self._buckets = self._divided(self._order)

    def _forget_order_of_other_parameters(self) -> None:
        """Forget the order if parameters were frozen since it was kept."""
        is_trained = [parameter.requires_grad for parameter in self._parameters]
        if is_trained != self._is_trained:
            self._is_trained, self._order, self._buckets = is_trained, [], []

    def _divided(self, numbers: list[int]) -> list[list[int]]:
        """Divide parameters into buckets of one dtype and at most `MAX_BUCKET_BYTES`, or of one larger parameter."""
        buckets: list[list[int]] = []
        size = 0
        for number in numbers:
            parameter = self._parameters[number]
            num_bytes = parameter.numel() * parameter.element_size()
            size += num_bytes
            if (
                not buckets
                or size > MAX_BUCKET_BYTES
                or self._parameters[buckets[-1][0]].dtype != parameter.dtype
            ):
                buckets.append([])
                size = num_bytes
            buckets[-1].append(number)
        return buckets


def _in_memory_order(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return the numbers of a gradient, (numel,), in the order in which the parameter's are in memory."""
    ordered = torch.empty_like(parameter)
    ordered = gradient if gradient.stride() == ordered.stride() else ordered.copy_(gradient)
    return ordered.as_strided((parameter.numel(),), (1,))
