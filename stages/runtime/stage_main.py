"""How every stage starts: its arguments, its seeds, a fixed number of threads, and errors that say what to do."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Never

import torch
from pydantic import Field
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from lzn.base.sections import ParamsError, Section, load_section
from stages.runtime.outputs import OutputPaths
from stages.runtime.process_pool import run_in_processes


class Hardware(Section):
    """How a stage uses its machine."""

    num_threads: Annotated[int, Field(ge=1)]
    """Threads of one operation: the number decides in which order sums are taken, so the last bit of a CPU result."""
    num_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that load training images; 0: the training process does it. No result depends on them."""
    seeds_at_once: Annotated[int, Field(ge=1)] = 1
    """On CPUs, seeds of a run that a stage works on side by side, in processes; no result depends on it. On GPUs
    seeds follow each other, each with all devices."""


@dataclass(frozen=True)
class StageCall:
    """One call of a stage: its parameter file, and its run (or data set) and seed where it is one of a family."""

    params_file: Path
    run: str | None
    outputs: OutputPaths
    device: torch.device
    seed: int | None = None
    shows_progress: bool = True
    """Whether progress bars are drawn: of seeds that run side by side, one draws."""

    @property
    def item(self) -> str:
        """The run's name; only for stages of a family."""
        assert self.run is not None
        return self.run

    @property
    def trained_folder(self) -> Path:
        """Where the run's weights and configuration are, of this call's seed."""
        return self.outputs.seed_folder("train", self.item, self.of_seed)

    @property
    def of_seed(self) -> int:
        """The seed; only for calls of one seed."""
        assert self.seed is not None
        return self.seed

    def progress(self, *, total: int, unit: str, initial: int = 0) -> "tqdm[Never]":
        """A progress bar on stderr, if that is a terminal; named after run and seed."""
        name = self.item if self.seed is None else f"{self.item} seed {self.seed}"
        disable = None if self.shows_progress else True  # None: where stderr is no terminal
        return tqdm(total=total, initial=initial, desc=name, unit=unit, disable=disable)


Body = Callable[[StageCall], None]


def run_stage(stage: str, body: Body, *, of_a_run: bool) -> None:
    """Parse the command line, set threads and determinism, run ``body``, and turn user errors into exit code 1."""
    parser = _parser(stage)
    if of_a_run:
        parser.add_argument(
            "--run", required=True, help="which of the family: the name of a run, or of a data set"
        )
    call, _ = _prepare_call(stage, parser.parse_args())
    _run_body(stage, body, call)


def run_stage_of_seeds(
    stage: str,
    body: Body,
    *,
    seeds_of: Callable[[StageCall], Sequence[int]],
    sum_up: Callable[[StageCall, Sequence[int]], None],
) -> None:
    """As `run_stage`, for a run with several seeds: ``body`` for each of them, then ``sum_up`` once for all.

    With ``--seed`` the stage does that seed's work and does not sum up.
    """
    parser = _parser(stage)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--seed", type=int, help="do the work of this seed alone, and do not sum up")
    arguments = parser.parse_args()
    call, hardware = _prepare_call(stage, arguments)
    if arguments.seed is not None:
        _run_body(stage, body, replace(call, seed=arguments.seed))
        return
    try:
        seeds = seeds_of(call)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")
    calls = [replace(call, seed=seed, shows_progress=seed == seeds[0]) for seed in seeds]
    if call.device.type == "cuda" or hardware.seeds_at_once == 1 or len(seeds) == 1:
        for one in calls:
            _run_body(stage, body, one)
    else:
        tasks: Mapping[str, Callable[[], None]] = {
            f"{stage}: {one.item}, seed {one.seed}": partial(_run_body, stage, body, one) for one in calls
        }
        run_in_processes(tasks, at_once=hardware.seeds_at_once)
    _run_body(stage, lambda call: sum_up(call, seeds), call)


def _parser(stage: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{stage}", description=sys.modules["__main__"].__doc__
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file of the size")
    return parser


def _prepare_call(stage: str, arguments: argparse.Namespace) -> tuple[StageCall, Hardware]:
    try:
        size = load_section(arguments.params, "size", str)
        hardware: Hardware = load_section(arguments.params, "hardware", Hardware)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")
    device = _prepare_torch(hardware.num_threads)
    return StageCall(arguments.params, getattr(arguments, "run", None), OutputPaths(size), device), hardware


def _run_body(stage: str, body: Body, call: StageCall) -> None:
    try:
        body(call)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")


def _prepare_torch(num_threads: int) -> torch.device:
    """The device to use; on CPU with results that are the same in every repetition."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(num_threads)
    # NumPy's and SciPy's too: seeds that run side by side would else wait for each other's threads.
    threadpool_limits(limits=num_threads)
    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_deterministic_debug_mode(
        "error"
    )  # use_deterministic_algorithms would import torch's compiler: seconds
    # A debugging aid that fills all new memory, and costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device("cpu")
