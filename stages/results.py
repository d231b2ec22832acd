"""Copy the small numbers, curves and tables of this size to results/, which git keeps."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from lzn.base.files import write_json
from lzn.base.nested import flatten
from stages.runtime.stage_main import StageCall, run_stage

RESULTS = Path("results")
CURVES = {"train": "curves", "steps": "steps", "probe": "probe", "settings": "settings"}
"""Stages with curves, and the folder in results/<size> to which their files are copied."""
TABLES = ("tables.md", "claims.md", "claims.json")
SHOWN = {
    "generative": ("measure", ("fd_", "fid", "reconstruction")),
    "classifying": ("classify", ("accuracy",)),
    "representing": ("probe", ("trained.without_head.top1",)),
}
"""The numbers in `dvc metrics show` and `dvc exp show`: by family, a stage and prefixes of the names of its numbers."""


def write_results(call: StageCall) -> None:
    """Write ``results/<size>`` and ``results/metrics/<size>.json``."""
    size, outputs = call.outputs.size, call.outputs
    families: dict[str, dict[str, str]] = call.params.section("families", dict[str, dict[str, str]])
    folder = RESULTS / size
    shutil.rmtree(folder, ignore_errors=True)
    for stage, name in CURVES.items():
        for file in sorted(outputs.plots_folder(stage).glob("*.csv")):
            _copy(file, folder / name / file.name)
    for name in TABLES:
        _copy(outputs.folder("tables") / name, folder / name)
    for file in sorted(outputs.folder("metrics").glob("*/*.json")):
        _copy(file, folder / "metrics" / file.parent.name / file.name)
    write_json(RESULTS / "metrics" / f"{size}.json", _shown_numbers(families, call))


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


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


if __name__ == "__main__":
    run_stage("results", write_results, has_items=False)
