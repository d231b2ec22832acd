"""How every stage starts: its arguments, a fixed number of threads, and errors that say what to do."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from stages.params import ParamsError, Section, load_section
from stages.workspace import Workspace


class Hardware(Section):
    """How a stage uses its machine."""

    num_threads: Annotated[int, Field(ge=1)]
    """Threads of one operation: the number decides in which order sums are taken, so the last bit of a CPU result."""
    num_workers: Annotated[int, Field(ge=0)] = 0
    """Processes that load training images; 0: the training process does it. No result depends on them."""


@dataclass(frozen=True)
class StageCall:
    """One call of a stage: its parameter file, and its run (or data set) where it is one of a family."""

    params_file: Path
    run: str | None
    workspace: Workspace
    device: torch.device

    @property
    def item(self) -> str:
        """The run's name; only for stages of a family."""
        assert self.run is not None
        return self.run


def run_stage(stage: str, body: Callable[[StageCall], None], *, of_a_run: bool) -> None:
    """Parse the command line, set threads and determinism, run ``body``, and turn user errors into exit code 1."""
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{stage}", description=sys.modules["__main__"].__doc__
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="parameter file of the size")
    if of_a_run:
        parser.add_argument(
            "--run", required=True, help="which of the family: the name of a run, or of a data set"
        )
    arguments = parser.parse_args()
    try:
        size = load_section(arguments.params, "size", str)
        hardware = load_section(arguments.params, "hardware", Hardware)
        device = _prepare_torch(hardware.num_threads)
        body(StageCall(arguments.params, getattr(arguments, "run", None), Workspace(size), device))
    except ParamsError as error:
        sys.exit(f"{stage}: {error}")


def _prepare_torch(num_threads: int) -> torch.device:
    """The device to use; on CPU with results that are the same in every repetition."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(num_threads)
    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.use_deterministic_algorithms(True)
    # A debugging aid that fills all new memory, and costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device("cpu")
