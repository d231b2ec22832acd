"""Start and stop several processes that train one seed together.

The command of a stage does not depend on the machine. If a machine has several devices, the process of the command is
the launcher: it calls torch.distributed.run (torchrun), which starts workers with the same command.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import NoReturn

import psutil
import torch
from torch.distributed import DistError
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import RendezvousError

from lzn.base.sections import ParamsError
from stages.runtime.process_pool import describe_failure, exit_with_parent
from stages.runtime.signals import STOP_SIGNALS, StopRequest, signal_handlers

PROCESSES = "LZN_PROCESSES"
"""Environment variable: the number of workers on this machine. Default: one for each CUDA device."""

ON_ONE_MACHINE = ["--standalone", "--local-addr", "127.0.0.1"]
STOPPED = {128 + number for number in STOP_SIGNALS}
"""Exit codes of workers that wrote a checkpoint and stopped after a signal."""


def num_workers_to_start(*, batch_size: int) -> int | None:
    """Return the number of workers to start here; None if this process trains itself, as a worker or alone.

    Raises:
        ParamsError: ``LZN_PROCESSES`` is not a positive integer, or is larger than the number of devices, or the
            batch has fewer samples than there are workers on all machines.
    """
    if is_worker():
        return None
    count, num_nodes = _num_processes_here(), _num_nodes()
    if count * num_nodes > batch_size:
        raise ParamsError(
            f"{count} processes on each of {num_nodes} machines cannot share a batch of {batch_size}: set a smaller "
            f"{PROCESSES}"
        )
    return count if count * num_nodes > 1 else None


def run_workers(module: str, arguments: Sequence[str], *, count: int, num_threads: int) -> None:
    """Run ``python -m module arguments`` in ``count`` processes; return when all have succeeded.

    Several machines connect through torchrun's environment variables: ``PET_NNODES``, ``PET_NODE_RANK``,
    ``PET_MASTER_ADDR`` and ``PET_MASTER_PORT``, or ``PET_RDZV_...``.

    Raises:
        ParamsError: a worker failed, which ends all others; or the connection to the other machines failed.
        SystemExit: the workers stopped after a signal, here or on another machine.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(_threads_per_worker(num_threads, count)))
    # This logger reports exit codes and signals of workers, which the launcher reports itself.
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    options = [*(ON_ONE_MACHINE if _num_nodes() == 1 else []), "--nproc-per-node", str(count)]
    options += ["--max-restarts", "0", "--log-dir", os.devnull, "--signals-to-handle", "SIGHUP,SIGQUIT"]
    with _forward_signals() as stop:
        try:
            # Without "--" torchrun reads arguments of the stage as abbreviations of its own.
            parsed = torchrun.parse_args([*options, "-m", "--", module, *arguments])  # type: ignore[no-untyped-call]
            torchrun.run(parsed)  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            _exit_like_workers({rank: failure.exitcode for rank, failure in error.failures.items()}, stop)
        except SignalException as error:
            sys.exit(128 + error.sigval)
        except (RendezvousError, DistError) as error:
            raise ParamsError(f"no connection to the processes of the other machines: {error}") from error
    if stop():
        sys.exit(stop.exit_code)


def configure_worker(device: torch.device, *, num_threads: int) -> torch.device:
    """Set the number of threads of this worker, and return its device. Without a launcher, return ``device``."""
    if not is_worker():
        return device
    torch.set_num_threads(_threads_per_worker(num_threads, int(os.environ["LOCAL_WORLD_SIZE"])))
    exit_with_parent()
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device.type == "cuda" else device


def is_worker() -> bool:
    """Return whether torchrun started this process, called by this module or by a user."""
    return "RANK" in os.environ


def shares_training() -> bool:
    """Return whether other processes train the same seed with this one: workers of a launcher, or other machines."""
    return is_worker() or _num_nodes() > 1


def _num_processes_here() -> int:
    num_devices = torch.cuda.device_count()
    text = os.environ.get(PROCESSES)
    if text is None:
        return max(1, num_devices)
    if not text.isdecimal() or int(text) < 1:
        raise ParamsError(
            f"{PROCESSES} is {text!r}: it must be a positive integer, or unset for one process per CUDA device"
        )
    if 0 < num_devices < int(text):
        raise ParamsError(
            f"{PROCESSES} is {text}, but each process needs its own CUDA device, and there are {num_devices}"
        )
    return int(text)


def _num_nodes() -> int:
    """Return the largest number of machines in torchrun's ``PET_NNODES``: ``number`` or ``smallest:largest``."""
    text = os.environ.get("PET_NNODES", "1")
    try:
        largest: int = torchrun.parse_min_max_nnodes(text)[1]
    except (ValueError, RuntimeError) as error:
        raise ParamsError(f"PET_NNODES is {text!r}: it must be the number of machines") from error
    return largest


def _threads_per_worker(num_threads: int, count: int) -> int:
    return max(1, num_threads // count)


@contextmanager
def _forward_signals() -> Iterator[StopRequest]:
    """Forward SIGTERM and SIGINT to the workers inside the block.

    By itself, torchrun ends the workers after a signal and kills them 30 s later. But workers stop together after a
    common step, which may take longer. So torchrun does not get these signals: it waits until the workers have ended.
    A thread forwards the signals, because Python's signal handlers do not run while torchrun waits for other machines.
    """
    request = StopRequest()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    thread = threading.Thread(target=_forward_from_pipe, args=(read_end, request), daemon=True)
    thread.start()
    with ExitStack() as stack:  # undone in reverse order
        stack.callback(os.close, read_end)
        stack.callback(thread.join)
        stack.callback(os.close, write_end)
        stack.enter_context(signal_handlers(_do_nothing))
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(write_end))
        yield request


def _forward_from_pipe(pipe: int, request: StopRequest) -> None:
    """Read signal numbers from ``pipe`` until it is closed, and send these signals to all workers."""
    while number := os.read(pipe, 1):
        if number[0] not in STOP_SIGNALS:
            continue
        request.signal = signal.Signals(number[0])
        workers = psutil.Process().children()
        if not workers:  # torchrun waits for other machines, so there is no work to save
            os._exit(request.exit_code)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.send_signal(request.signal)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal, so that it does not end the process; the thread forwards it."""


def _exit_like_workers(exit_codes: Mapping[int, int], stop: StopRequest) -> NoReturn:
    """Raise SystemExit if the workers stopped after a signal, and ParamsError if one failed."""
    codes = set(exit_codes.values())
    killed_by_signal = (
        {-number for number in STOP_SIGNALS} if stop() else set()
    )  # before they could handle it
    failed = not codes <= STOPPED | killed_by_signal
    failures = ", ".join(
        describe_failure(f"process {rank}", code) for rank, code in sorted(exit_codes.items())
    )
    message = (
        f"the training ended: {failures}. Correct the error above if there is one, and run the same command again: it "
        f"resumes from the last checkpoint, with any number of processes ({PROCESSES})"
    )
    if failed and not stop():
        raise ParamsError(message)
    if failed:
        print(message, file=sys.stderr)
    sys.exit(stop.exit_code if stop() else max(codes))
