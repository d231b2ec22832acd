"""The main function of every stage: arguments, seeds, a fixed number of threads, and error messages."""

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
from lzn.base.sections import KEY_RULE, Key, ParamsError, ParamsFile, Section, is_key
from lzn.base.streams import escape_other_characters
from stages.runtime.outputs import OutputPaths
from stages.runtime.process_pool import run_in_processes
from stages.runtime.progress_bars import progress_bar

PARAMS_FILE = Path("params.yaml")
"""The parameters of the current size. Stages are started in the project's folder."""


class Hardware(Section):
    """The section ``hardware`` of params.yaml: how a stage uses its machine."""

    num_threads: Annotated[int, Field(ge=1)]
    """Threads of one operation. On CPUs the number determines the order of sums and so the last bit of results."""
    num_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that load training images; 0: the training process loads them. Results do not depend on it."""
    seeds_at_once: Annotated[int, Field(ge=1)] = 1
    """On CPUs, the number of seeds that run in parallel processes. Results do not depend on it. On GPUs seeds run one
    after the other, each with all devices."""


@dataclass(frozen=True)
class StageCall:
    """One call of a stage.

    Attributes:
        params: the parameter file.
        name: the name of the run or data set; None for stages that have no instance for each.
        outputs: the paths of files.
        device: the device to compute on.
        seed: the seed of the run that this call works on; None for a call that is not for one seed.
        shows_progress: whether to show progress bars; of parallel seeds, only one shows them.
    """

    params: ParamsFile
    name: str | None
    outputs: OutputPaths
    device: torch.device
    seed: int | None = None
    shows_progress: bool = True

    @property
    def item(self) -> str:
        """The name of the run or data set. The call must have one."""
        assert self.name is not None
        return self.name

    @property
    def trained_folder(self) -> Path:
        """The folder with the weights and configuration of the call's seed."""
        return self.outputs.seed_folder("train", self.item, self.run_seed)

    @property
    def run_seed(self) -> int:
        """The seed. The call must be for one seed."""
        assert self.seed is not None
        return self.seed

    def progress(self, *, total: int, unit: str, initial: int = 0) -> "tqdm[Never]":
        """Return a progress bar with the names of run and seed."""
        name = self.item if self.seed is None else f"{self.item} seed {self.seed}"
        return progress_bar(name, total=total, unit=unit, initial=initial, shown=self.shows_progress)


Body = Callable[[StageCall], None]


def run_stage(stage: str, body: Body, *, has_items: bool) -> None:
    """Parse the command line, set the numbers of threads, and call ``body``; a ParamsError ends with exit code 1.

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
    finish: Callable[[StageCall, Sequence[int]], None],
    import_before: Callable[[], None] = lambda: None,
    import_meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run a stage of a run with several seeds: call ``body`` for each seed, then ``finish`` once with all seeds.

    With ``--seed`` on the command line, only ``body`` is called, for this seed. Otherwise as `run_stage`.

    MLflow and others take seconds to import. If seeds run in parallel processes, ``import_before`` imports what their
    ``body`` needs once for all of them, and ``import_meanwhile`` imports what ``finish`` needs while they run.
    """
    parser = _parser(stage)
    parser.add_argument("item", metavar="run", help="the name of the run")
    parser.add_argument(
        "--seed", type=int, help="only this seed; its results are not combined with other seeds"
    )
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
        import_before()
        run_in_processes(tasks, num_processes=hardware.seeds_at_once, meanwhile=import_meanwhile)
    _run_body(stage, lambda call: finish(call, seeds), call)


def _parser(stage: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m stages.{stage}", description=sys.modules["__main__"].__doc__
    )


def _prepare_call(stage: str, arguments: argparse.Namespace) -> tuple[StageCall, Hardware]:
    escape_other_characters()
    try:
        params = ParamsFile.read(PARAMS_FILE)
        size = params.section("size", Key)
        item = getattr(arguments, "item", None)
        if item is not None and not is_key(item):
            raise ParamsError(f"{item!r} is not the name of a run or data set: names are {KEY_RULE}")
        hardware: Hardware = params.section("hardware", Hardware)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")
    torch.set_num_threads(hardware.num_threads)
    # Threads of NumPy and SciPy too: otherwise parallel seeds compete for the cores.
    threadpool_limits(limits=hardware.num_threads)
    call = StageCall(params, item, OutputPaths(size), default_device())
    return call, hardware


def _run_body(stage: str, body: Body, call: StageCall) -> None:
    try:
        body(call)
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")
