"""Reads the numbers that a stage wrote for each seed of a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lzn.base.files import write_json
from stages.measuring.quantity import NestedQuantities, combine_seeds
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall


def read_quantities(outputs: OutputPaths, stage: str, run: str, *, seeds: Sequence[int]) -> NestedQuantities:
    """Read ``metrics/<stage>/<run>/seed_<n>.json`` of these seeds and combine them."""
    return combine_seeds({seed: json.loads(outputs.measured(stage, run, seed).read_text()) for seed in seeds})


def note_not_measured(call: StageCall, stage: str, reasons: Mapping[str, str]) -> None:
    """Print and store why numbers of a seed could not be measured; the tables show the reasons."""
    file = _reasons_file(call.outputs, stage, call.item, call.run_seed)
    file.unlink(missing_ok=True)
    if reasons:
        write_json(file, dict(reasons))
        for name, reason in reasons.items():
            print(f"{call.item}, seed {call.run_seed}: {name} is not measured: {reason}")


def read_reasons(outputs: OutputPaths, stage: str, run: str) -> dict[str, str]:
    """Return why numbers of a run are not measured, by the name of the number."""
    found: dict[str, str] = {}
    for file in sorted((outputs.metrics_folder(stage) / run).glob("not_measured_*.json")):
        found |= json.loads(file.read_text())
    return found


def _reasons_file(outputs: OutputPaths, stage: str, run: str, seed: int) -> Path:
    return outputs.metrics_folder(stage) / run / f"not_measured_{seed}.json"
