"""Copy the small numbers, curves and tables of this size to results/, which git keeps."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from lzn.base.files import write_json
from stages.runtime.stage_main import StageCall, run_stage

RESULTS = Path("results")
CURVES = {"train": "curves", "steps": "steps", "probe": "probe", "settings": "settings"}
"""Stages with curves, and the folder of results/<size> that their files go to."""
SHOWN = {
    "generative": ("measure", ("fd_", "fid", "reconstruction")),
    "classifying": ("classify", ("accuracy",)),
    "representing": ("probe", ("trained.without_head.top1",)),
}
"""For each family the stage, and the beginnings of the names of its numbers, that `dvc metrics` and `dvc exp` show."""


def write_results(call: StageCall) -> None:
    """Write ``results/<size>`` and ``results/metrics/<size>.json``."""
    size, outputs = call.outputs.size, call.outputs
    families: dict[str, dict[str, str]] = call.params.section("families", dict[str, dict[str, str]])
    folder = RESULTS / size
    shutil.rmtree(folder, ignore_errors=True)
    for stage, name in CURVES.items():
        for file in sorted(outputs.plot(stage, "any").parent.glob("*.csv")):
            _copy(file, folder / name / file.name)
    for name in ("tables.md", "claims.md", "claims.json"):
        _copy(outputs.folder("tables") / name, folder / name)
    metrics = outputs.metrics("measure", "any").parents[1]
    for file in sorted(metrics.glob("*/*.json")):
        _copy(file, folder / "metrics" / file.parent.name / file.name)
    write_json(RESULTS / "metrics" / f"{size}.json", dict(_shown(families, call)))


def _shown(
    families: Mapping[str, Mapping[str, str]], call: StageCall
) -> Iterator[tuple[str, dict[str, float]]]:
    """Means over seeds of the numbers that are shown, by run."""
    shown: dict[str, dict[str, float]] = {}
    for family, (stage, beginnings) in SHOWN.items():
        for run in families.get(family, {}):
            content = json.loads(call.outputs.metrics(stage, run).read_text(encoding="utf-8"))
            for name, mean in _means(content):
                if name.startswith(beginnings):
                    shown.setdefault(run, {})[name] = mean
    yield from shown.items()


def _means(content: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            mean = value.get("mean")
            if isinstance(mean, int | float):
                yield prefix + name, float(mean)
            else:
                yield from _means(value, f"{prefix}{name}.")


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


if __name__ == "__main__":
    run_stage("results", write_results, has_items=False)
