"""Copy the small numbers, curves and tables of this size to results/, which git keeps."""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lzn.base.files import copy_file, write_json
from lzn.base.nested import flatten
from stages.measuring.plot_rows import write_plot_rows
from stages.runtime.stage_main import StageCall, run_stage

RESULTS = Path("results")
CURVES = {"train": "curves", "steps": "steps", "probe": "probe", "settings": "settings"}
"""Stages with curves, and the folder in results/<size> to which their files are copied."""
PLOTS = {"training_loss": ("train", "step", "loss"), "euler_steps": ("steps", "num_steps", "distance")}
"""The pictures of `dvc plots show`, by folder in results/plots: the stage whose curves it shows, and its columns."""
TABLES = ("tables.md", "claims.md", "claims.json")
SHOWN = {
    "generative": ("measure", ("fd_", "fid", "reconstruction")),
    "classifying": ("classify", ("accuracy",)),
    "representing": ("probe", ("trained.without_head.top1",)),
}
"""The numbers in `dvc metrics show` and `dvc exp show`: by family, a stage and prefixes of the names of its numbers."""


def write_results(call: StageCall) -> None:
    """Write ``results/<size>``, and the files of the size in ``results/metrics`` and ``results/plots``."""
    size, outputs = call.outputs.size, call.outputs
    families: dict[str, dict[str, str]] = call.params.section("families", dict[str, dict[str, str]])
    folder = RESULTS / size
    shutil.rmtree(folder, ignore_errors=True)
    for stage, name in CURVES.items():
        for file in sorted(outputs.plots_folder(stage).glob("[!.]*.csv")):
            copy_file(file, folder / name / file.name)
    for name in TABLES:
        copy_file(outputs.folder("tables") / name, folder / name)
    for file in sorted(outputs.folder("metrics").glob("*/[!.]*.json")):
        copy_file(file, folder / "metrics" / file.parent.name / file.name)
    write_json(RESULTS / "metrics" / f"{size}.json", _shown_numbers(families, call))
    for name, (stage, *columns) in PLOTS.items():
        rows = _rows_of_runs(outputs.plots_folder(stage), families.get("generative", {}), columns)
        write_plot_rows(RESULTS / "plots" / name / f"{size}.csv", ["run", *columns], rows)


def _shown_numbers(families: Mapping[str, Mapping[str, str]], call: StageCall) -> dict[str, dict[str, float]]:
    """Return the means over seeds of the numbers in `SHOWN`, by run and name."""
    shown: dict[str, dict[str, float]] = {}
    for family, (stage, prefixes) in SHOWN.items():
        for run in families.get(family, {}):
            content = json.loads(call.outputs.metrics(stage, run).read_text(encoding="utf-8"))
            numbers = flatten(content, is_leaf=lambda value: "mean" in value)
            means = {name: number["mean"] for name, number in numbers.items() if name.startswith(prefixes)}
            if means:
                shown.setdefault(run, {}).update(means)
    return shown


def _rows_of_runs(folder: Path, runs: Iterable[str], columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield the name of a run and the columns of its curve, row by row; imported runs have no training curve."""
    for run in runs:
        if (file := folder / f"{run}.csv").exists():
            with file.open(newline="") as stream:
                yield from ([run, *map(row.__getitem__, columns)] for row in csv.DictReader(stream))


if __name__ == "__main__":
    run_stage("results", write_results, has_items=False)
