"""Run functions in several processes, connected as ``torchrun`` connects them, and return their results."""

import os
import socket
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from lzn.base.parallel import TIMEOUT, Processes, join_processes

_PRELOADED = ["torch._dynamo", "lzn_testing.processes.real_processes", "lzn_testing.models.parallel_training"]
"""Imported once instead of in each process. An optimiser imports the first one in its first step."""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def run_in_processes(
    count: int,
    function: Callable[..., Any],
    *arguments: Any,
    folder: Path,
    device: str = "cpu",
    timeout: timedelta = TIMEOUT,
) -> list[Any]:
    """Run ``function(processes, *arguments)`` in ``count`` processes. Return the results by rank.

    Results are files in ``folder``, saved with `torch.save`: tensors, plain values and types registered with
    `torch.serialization.add_safe_globals`. An error in any process fails the test. ``timeout`` is that of collective
    operations.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    port = _free_port()
    workers = [
        context.Process(target=_work, args=(rank, count, port, folder, device, timeout, function, arguments))
        for rank in range(count)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    failures = [
        (folder / f"error_{rank}").read_text() for rank in range(count) if (folder / f"error_{rank}").exists()
    ]
    assert not failures, "\n".join(failures)
    assert [worker.exitcode for worker in workers] == [0] * count
    return [torch.load(folder / f"result_{rank}_of_{count}", weights_only=True) for rank in range(count)]


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run ``function`` in this process, as the only one."""
    return function(Processes(), *arguments)


def _work(  # noqa: PLR0917 - a process gets its arguments by position
    rank: int,
    count: int,
    port: int,
    folder: Path,
    device: str,
    timeout: timedelta,
    function: Callable[..., Any],
    arguments: Sequence[Any],
) -> None:
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(count),
        LOCAL_RANK=str(rank),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    try:
        with join_processes(torch.device(device), timeout=timeout) as processes:
            result = function(processes, *arguments)
            processes.barrier()
    except BaseException:
        (folder / f"error_{rank}").write_text(traceback.format_exc())
        raise
    torch.save(result, folder / f"result_{rank}_of_{count}")
