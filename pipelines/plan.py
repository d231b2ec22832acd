"""Print what a size runs: its stages, and for each run the parameters of its networks, its memory and its cost.

    python -m pipelines.plan [params.yaml sizes/paper.yaml ...]
    python -m pipelines.plan --measure [params.yaml ...]

It runs no stage and changes no file of the project. With ``--measure`` it makes steps of each run on this machine.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from dvc.exceptions import DvcException

from lzn.base.sections import ParamsError
from lzn.base.streams import escape_other_characters
from lzn.runs.configuration import AnyRun, GenerationRun, JointRun, count_parameters
from pipelines.check import Params, read_params, require_memory
from pipelines.dag import read_dependencies
from pipelines.dry import temporary_project
from pipelines.measured_steps import measure_run
from pipelines.memory import memory_of, processes_of
from pipelines.memory_estimate import GIB
from pipelines.resources import key_of_stage
from pipelines.sizes import PARAMS_FILE
from stages.reporting.tables import paper_numbers

NUM_CLASSES = {"digits": 10, "fashion_mnist": 10, "cifar10": 10, "imagenet": 1000}
"""Number of classes by kind of data set. Folders of images count as one class: they are not read."""


@dataclass(frozen=True)
class Cost:
    """Estimated A100 hours of a run's trainings.

    Attributes:
        gpu_hours: the paper's hours for this data set and study, scaled by iterations, batch size and number of seeds.
        is_bound: whether this is an upper bound, because the run leaves out a part of the paper's training.
    """

    gpu_hours: float
    is_bound: bool

    def __str__(self) -> str:
        return f"{'≤ ' if self.is_bound else ''}{self.gpu_hours:,.0f}"


def estimate_cost(run: AnyRun, data_kind: str) -> Cost | None:
    """Estimate the cost of a run's trainings, one per seed. Return None if the paper has no figure."""
    name = {"afhq": "afhq_cat"}.get(data_kind, data_kind)
    paper: Mapping[str, float] | None = paper_numbers()["costs"].get(name, {}).get(run.study)
    if paper is None:
        return None
    share = run.training.num_steps * run.training.batch_size / (paper["num_steps"] * paper["batch_size"])
    leaves_out = (isinstance(run, GenerationRun) and run.latent is None) or (
        isinstance(run, JointRun) and not run.generate
    )
    hours = paper["hours"] * paper["gpus"] * share * len(run.seeds)
    return Cost(gpu_hours=hours, is_bound=leaves_out)


def count_parts(run: AnyRun, num_classes: int) -> dict[str, int]:
    """Count the trainable parameters of a run's networks, by name. The networks are built without memory."""
    with torch.random.fork_rng(), torch.device("meta"):
        model = run.build_model(num_classes)
    return {name: count_parameters(part) for name, part in model.named_children()}


def format_plan(params_file: Path) -> str:
    """Return the plan of the size in a parameter file, as text.

    Raises:
        ParamsError: the parameter file is wrong, or its GPUs have too little memory for a run.
        DvcException: dvc.yaml is wrong.
    """
    params = read_params(params_file)
    with temporary_project(params_file) as folder, contextlib.chdir(folder):
        stages = read_dependencies()
    require_memory(params_file, params)
    lines = [f"Size {params.size} ({params_file}): {len(stages)} stages, {len(params.all_runs)} runs", ""]
    lines += ["Stages; each row runs after the rows above it:", *_rows_of_stages(stages), ""]
    lines += ["Runs:", *_aligned([list(HEADINGS), *_rows_of_runs(params)])]
    lines += ["", COST_REMARK]
    return "\n".join(lines)


HEADINGS = (
    "run",
    "data",
    "study",
    "parameters",
    "images/step",
    "steps",
    "seeds",
    "GPUs",
    "GiB/GPU",
    "A100 hours",
)
COST_REMARK = (
    "GiB/GPU: estimated memory of a training on each GPU, or of its process on the CPU; without the CUDA context.\n"
    "A100 hours: the paper's figures (C.3, D.3, E.3), scaled by iterations and batch; ≤ if the run leaves out a part\n"
    "of the paper's training, - if the paper has no figure. Evaluation is not counted."
)


def _rows_of_stages(stages: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Yield the stages by their depth in the DAG, one row for each depth and family."""
    depth: dict[str, int] = {}
    for stage, dependencies in stages.items():  # dependencies come first
        depth[stage] = 1 + max((depth[name] for name in dependencies), default=0)
    for row in range(1, max(depth.values(), default=0) + 1):
        families: dict[str, list[str]] = {}
        for name in (name for name in depth if depth[name] == row):
            family, _, item = name.rpartition(":")[2].partition("@")
            families.setdefault(family, []).append(item)
        for family, items in families.items():
            yield f"  {row}  {family}" + (f"  {', '.join(items)}" if any(items) else "")


def _rows_of_runs(params: Params) -> Iterator[list[str]]:
    total = 0.0
    for name, run in params.all_runs.items():
        data = params.data[run.data]
        parts = count_parts(run, NUM_CLASSES.get(data.kind, 1))
        counted = " + ".join(f"{part} {number:,}" for part, number in parts.items())
        imported = name in params.imports
        cost = None if imported else estimate_cost(run, data.kind)
        total += cost.gpu_hours if cost else 0.0
        yield [
            name,
            run.data,
            run.study,
            counted,
            f"{run.training.batch_size:,}",
            "imported" if imported else f"{run.training.num_steps:,}",
            str(len(run.seeds)),
            *(("-", "-") if imported else _gpus_and_memory(params, name, run)),
            str(cost or "-"),
        ]
    if total:
        yield ["all runs", *[""] * (len(HEADINGS) - 2), f"≤ {total:,.0f}"]


def _gpus_and_memory(params: Params, name: str, run: AnyRun) -> tuple[str, str]:
    key = key_of_stage(params.resources, f"train@{name}")
    gpus = 0 if key is None else params.resources[key].gpus
    memory = memory_of(run, params.data[run.data], num_processes=processes_of(params.resources, name))
    return str(gpus), f"{memory.total / GIB:,.2f}"


MEASURED_HEADINGS = (
    "run",
    "images/step",
    "s/step",
    "GiB estimated",
    "GiB measured",
    "device hours",
    "A100 hours",
)
MEASURED_REMARK = (
    "Ten steps of a run on this machine, with the share of a batch that one of its GPUs has, of images of noise in\n"
    "memory. device hours: s/step times steps, seeds and GPUs, without the exchange between GPUs and evaluation;\n"
    "A100 hours: the paper's."
)


def format_measured(params_file: Path, names: Sequence[str] = ()) -> str:
    """Make steps of runs of a parameter file on this machine, and return time, memory and hours as text.

    Args:
        params_file: the parameter file.
        names: the runs; all if there are none.

    Raises:
        ParamsError: the parameter file is wrong, or has no such run.
    """
    params = read_params(params_file)
    unknown = sorted(set(names) - set(params.runs))
    if unknown:
        raise ParamsError(
            f"{params_file}: no run {', '.join(unknown)}; the runs are {', '.join(params.runs)}"
        )
    rows = [list(MEASURED_HEADINGS)]
    for name in names or params.runs:
        run = params.runs[name]
        data = params.data[run.data]
        count = processes_of(params.resources, name)
        estimate = memory_of(run, data, num_processes=count).total
        steps = measure_run(run, data, num_processes=count, needed_bytes=estimate)
        num_steps = run.training.num_steps * len(run.seeds) * count
        hours = None if steps is None else steps.seconds * num_steps / 3600
        rows.append(
            [
                name,
                f"{run.training.batch_size // count:,}",
                "too large for this machine" if steps is None else f"{steps.seconds:.3g}",
                f"{estimate / GIB:,.3f}",
                "-" if steps is None else f"{steps.peak_bytes / GIB:,.3f}",
                "-" if hours is None else f"{hours:,.2f}",
                str(estimate_cost(run, data.kind) or "-"),
            ]
        )
    return "\n".join(
        [f"Size {params.size} ({params_file}), measured:", "", *_aligned(rows), "", MEASURED_REMARK]
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numbers = range(len(widths) - 6, len(widths))
    for row in rows:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(cells).rstrip()


def main() -> None:
    """Print the plans of the sizes named on the command line."""
    escape_other_characters()
    parser = argparse.ArgumentParser(prog="python -m pipelines.plan", description=__doc__.partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="*", default=[PARAMS_FILE], help="parameter files")
    parser.add_argument("--measure", action="store_true", help="make ten steps of each run on this machine")
    parser.add_argument("--run", action="append", default=[], help="measure only this run; may be repeated")
    arguments = parser.parse_args()
    if arguments.run and not arguments.measure:
        parser.error("--run is for --measure")
    try:
        for file in arguments.files:
            text = format_measured(file, arguments.run) if arguments.measure else format_plan(file)
            print(f"{text}\n", flush=True)
    except (ParamsError, DvcException) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
