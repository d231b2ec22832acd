"""Functions that really run in several processes, connected as ``torchrun`` connects them, and what they return."""

import os
import socket
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from lzn.base.parallel import Processes, join_processes

_PRELOADED = ["torch._dynamo", "lzn_testing.processes.real_processes", "lzn_testing.models.parallel_training"]
"""Imported once, not by each process; the first is what an optimiser imports in its first step."""


def run_in_processes(count: int, function: Callable[..., Any], *arguments: Any, folder: Path) -> list[Any]:
    """``function(processes, *arguments)`` in ``count`` processes; what each returns, by rank.

    Results are saved as files below ``folder`` with `torch.save`: tensors and plain values, and what
    `torch.serialization.add_safe_globals` was told of. An error of any process is an error here.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    port = _free_port()
    workers = [
        context.Process(target=_work, args=(rank, count, port, folder, function, arguments))
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
    """What ``function`` returns in this process, which is alone."""
    return function(Processes(), *arguments)


def _work(  # noqa: PLR0917 - a process gets its arguments by position
    rank: int, count: int, port: int, folder: Path, function: Callable[..., Any], arguments: Sequence[Any]
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
        with join_processes(torch.device("cpu")) as processes:
            result = function(processes, *arguments)
            processes.wait_for_all()
    except BaseException:
        (folder / f"error_{rank}").write_text(traceback.format_exc())
        raise
    torch.save(result, folder / f"result_{rank}_of_{count}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
