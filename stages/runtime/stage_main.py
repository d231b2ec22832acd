"""How every stage starts: its arguments, its seeds, a fixed number of threads, and errors that say what to do."""

import argparse
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

from lzn.base.devices import default_device
from lzn.base.sections import ParamsError, ParamsFile, Section
from stages.runtime.outputs import OutputPaths
from stages.runtime.process_pool import run_in_processes

PARAMS_FILE = Path("params.yaml")
"""The parameters of the size in force, in the project's folder, in which stages are started."""


class Hardware(Section):
    """How a stage uses its machine."""

    num_threads: Annotated[int, Field(ge=1)]
    """Threads of one operation: the number decides the order of sums, so the last bit of a CPU result."""
    num_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that load training images; 0: the training process does it. No result depends on them."""
    seeds_at_once: Annotated[int, Field(ge=1)] = 1
    """On CPUs, seeds of a run that a stage works on in parallel processes; no result depends on it. On GPUs seeds run
    one after the other, each with all devices."""


@dataclass(frozen=True)
class StageCall:
    """One call of a stage.

    Attributes:
        params: the parameter file.
        run: the run, or the data set, of a stage that has one instance for each; None for other stages.
        outputs: where files are.
        device: the device to compute on.
        seed: the seed of the run that this call works on; None for all of them together.
        shows_progress: whether progress bars are drawn; of seeds that run in parallel, one draws.
    """

    params: ParamsFile
    run: str | None
    outputs: OutputPaths
    device: torch.device
    seed: int | None = None
    shows_progress: bool = True

    @property
    def item(self) -> str:
        """The name of the run or data set; only for stages that have one."""
        assert self.run is not None
        return self.run

    @property
    def trained_folder(self) -> Path:
        """The folder with weights and configuration of this call's seed."""
        return self.outputs.seed_folder("train", self.item, self.known_seed)

    @property
    def known_seed(self) -> int:
        """The seed; only for calls of one seed."""
        assert self.seed is not None
        return self.seed

    def progress(self, *, total: int, unit: str, initial: int = 0) -> "tqdm[Never]":
        """Return a progress bar on stderr, named after run and seed; it shows nothing where stderr is no terminal."""
        name = self.item if self.seed is None else f"{self.item} seed {self.seed}"
        disable = None if self.shows_progress else True  # None: where stderr is no terminal
        return tqdm(total=total, initial=initial, desc=name, unit=unit, disable=disable)


Body = Callable[[StageCall], None]


def run_stage(stage: str, body: Body, *, has_items: bool) -> None:
    """Parse the command line, set threads and determinism, and call ``body``; user errors end with exit code 1.

    With ``has_items`` the command line names a run or a data set.
    """
    parser = _parser(stage)
    if has_items:
        parser.add_argument("item", help="the name of a run or of a data set")
    call, _ = _prepare_call(stage, parser.parse_args())
    _run_body(stage, body, call)


def run_stage_of_seeds(
    stage: str,
    body: Body,
    *,
    seeds_of: Callable[[StageCall], Sequence[int]],
    sum_up: Callable[[StageCall, Sequence[int]], None],
) -> None:
    """Do as `run_stage` for a run with several seeds: call ``body`` for each of them, then ``sum_up`` once for all.

    With ``--seed`` on the command line, ``body`` is called for that seed alone, and ``sum_up`` is not.
    """
    parser = _parser(stage)
    parser.add_argument("item", metavar="run", help="the name of the run")
    parser.add_argument("--seed", type=int, help="work on this seed alone, and do not combine seeds")
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
    return argparse.ArgumentParser(
        prog=f"python -m stages.{stage}", description=sys.modules["__main__"].__doc__
    )


def _prepare_call(stage: str, arguments: argparse.Namespace) -> tuple[StageCall, Hardware]:
    try:
        params = ParamsFile.read(PARAMS_FILE)
        size = params.section("size", str)
        hardware: Hardware = params.section("hardware", Hardware)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")
    torch.set_num_threads(hardware.num_threads)
    # NumPy's and SciPy's threads too: seeds that run in parallel would wait for each other's threads.
    threadpool_limits(limits=hardware.num_threads)
    call = StageCall(params, getattr(arguments, "item", None), OutputPaths(size), default_device())
    return call, hardware


def _run_body(stage: str, body: Body, call: StageCall) -> None:
    try:
        body(call)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")
