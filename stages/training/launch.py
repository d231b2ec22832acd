"""Several processes that train together: how many this machine gives, and starting, stopping and outliving them.

A stage's command says nothing of the machine that it runs on. Where there are several devices, the process that was
called becomes the launcher: it runs torch.distributed.run, whose workers are the same command once more.
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
from stages.runtime.process_pool import exit_with_parent
from stages.runtime.signals import STOP_SIGNALS, StopRequest, signal_handlers

PROCESSES = "LZN_PROCESSES"
"""Environment variable: processes on this machine that train together; unset, one for each CUDA device."""

ON_ONE_MACHINE = ["--standalone", "--local-addr", "127.0.0.1"]
STOPPED = {128 + number for number in STOP_SIGNALS}
"""Exit codes of workers that were asked to stop and did, a checkpoint being safe."""


def processes_to_start(*, batch_size: int) -> int | None:
    """How many workers to start on this machine, or None where this process trains itself: a worker, or alone.

    Raises:
        ParamsError: ``LZN_PROCESSES`` is no positive integer, or there are too few devices or samples of a batch.
    """
    if is_worker():
        return None
    count, num_nodes = _num_processes_here(), _num_nodes()
    if count * num_nodes > batch_size:
        raise ParamsError(
            f"{count} processes on each of {num_nodes} machines cannot share a batch of {batch_size}: set {PROCESSES} "
            "to fewer"
        )
    return count if count * num_nodes > 1 else None


def run_workers(module: str, arguments: Sequence[str], *, count: int, num_threads: int) -> None:
    """Run ``python -m module arguments`` in ``count`` processes; returns when all have ended well.

    Several machines find each other by torchrun's environment: ``PET_NNODES``, ``PET_NODE_RANK``, ``PET_MASTER_ADDR``
    and ``PET_MASTER_PORT``, or the ``PET_RDZV_...`` variables.

    Raises:
        ParamsError: a worker failed, which ends all others, or the other machines were not found.
        SystemExit: the workers were asked to stop, here or on another machine, and did.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(_threads_each(num_threads, count)))
    # It would report each exit code of a worker, and each signal sent to one; the launcher has its own words.
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    options = [*(ON_ONE_MACHINE if _num_nodes() == 1 else []), "--nproc-per-node", str(count)]
    options += ["--max-restarts", "0", "--log-dir", os.devnull, "--signals-to-handle", "SIGHUP,SIGQUIT"]
    with _signals_passed_on() as stop:
        try:
            # Without "--" torchrun takes arguments of the stage for abbreviations of its own.
            parsed = torchrun.parse_args([*options, "-m", "--", module, *arguments])  # type: ignore[no-untyped-call]
            torchrun.run(parsed)  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            _end_like_workers({rank: failure.exitcode for rank, failure in error.failures.items()}, stop)
        except SignalException as error:
            sys.exit(128 + error.sigval)
        except (RendezvousError, DistError) as error:
            raise ParamsError(
                f"the processes of the other machines are not reached or lost: {error}"
            ) from error
    if stop():
        sys.exit(stop.exit_code)


def place_of_worker(device: torch.device, *, num_threads: int) -> torch.device:
    """Takes this worker's share of the machine: of its threads, and one device. Without a launcher: all of it."""
    if not is_worker():
        return device
    torch.set_num_threads(_threads_each(num_threads, int(os.environ["LOCAL_WORLD_SIZE"])))
    exit_with_parent()
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device.type == "cuda" else device


def is_worker() -> bool:
    """Whether torchrun started this process, ours or one that was called by hand."""
    return "RANK" in os.environ


def _num_processes_here() -> int:
    num_devices = torch.cuda.device_count()
    text = os.environ.get(PROCESSES)
    if text is None:
        return max(1, num_devices)
    if not text.isdecimal() or int(text) < 1:
        raise ParamsError(
            f"{PROCESSES} is {text!r}: it must be a positive integer, or unset for one process a CUDA device"
        )
    if 0 < num_devices < int(text):
        raise ParamsError(
            f"{PROCESSES} is {text}, but each process needs a CUDA device of its own, and there are {num_devices}"
        )
    return int(text)


def _num_nodes() -> int:
    """Machines, as torchrun's environment has it: a number, or the smallest and the largest."""
    text = os.environ.get("PET_NNODES", "1")
    try:
        largest: int = torchrun.parse_min_max_nnodes(text)[1]
    except (ValueError, RuntimeError) as error:
        raise ParamsError(f"PET_NNODES is {text!r}: it must be the number of machines") from error
    return largest


def _threads_each(num_threads: int, count: int) -> int:
    return max(1, num_threads // count)


@contextmanager
def _signals_passed_on() -> Iterator[StopRequest]:
    """Pass SIGTERM and SIGINT on to the workers inside the block; the workers decide what follows.

    torchrun's own way is to end the workers when it gets a signal, and to kill those that live on after 30 s. But
    they stop together, at a step on which they agree, and that may take longer. So torchrun hears nothing of these
    signals: they go to the workers, it goes on waiting, and ends because the workers end. A thread does it, since
    handlers in Python have to wait while torchrun waits for other machines.
    """
    request = StopRequest()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    thread = threading.Thread(target=_pass_on, args=(read_end, request), daemon=True)
    thread.start()
    with ExitStack() as stack:  # undone in reverse order
        stack.callback(os.close, read_end)
        stack.callback(thread.join)
        stack.callback(os.close, write_end)
        stack.enter_context(signal_handlers(_do_nothing))
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(write_end))
        yield request


def _pass_on(numbers: int, request: StopRequest) -> None:
    """Sends the signals whose numbers come out of the pipe ``numbers`` to all workers, until it is closed."""
    while number := os.read(numbers, 1):
        if number[0] not in STOP_SIGNALS:
            continue
        request.signal = signal.Signals(number[0])
        workers = psutil.Process().children()
        if not workers:  # still waiting for other machines, or for them to end: nothing here to be lost
            os._exit(request.exit_code)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.send_signal(request.signal)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler, so that the signal does not end the process."""


def _end_like_workers(exit_codes: Mapping[int, int], stop: StopRequest) -> NoReturn:
    """Ends the launcher: by SystemExit where the workers were asked to stop, by ParamsError where one failed."""
    codes = set(exit_codes.values())
    too_early_to_catch_it = {-number for number in STOP_SIGNALS} if stop() else set()
    failed = not codes <= STOPPED | too_early_to_catch_it
    ends = ", ".join(_end_of(rank, code) for rank, code in sorted(exit_codes.items()))
    message = (
        f"the training ended: {ends}. Unless what is said above asks for a change, start the same command again: it "
        f"resumes from the last checkpoint, with any number of processes ({PROCESSES})"
    )
    if failed and not stop():
        raise ParamsError(message)
    if failed:
        print(message, file=sys.stderr)
    sys.exit(stop.exit_code if stop() else max(codes))


def _end_of(rank: int, exit_code: int) -> str:
    if exit_code < 0:
        return f"process {rank} was killed by {signal.Signals(-exit_code).name}"
    return f"process {rank} ended with exit code {exit_code}"
