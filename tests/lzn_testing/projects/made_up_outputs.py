"""A folder with made-up outputs of all measuring stages, which `tables` and `report` read."""

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from stages.runtime.outputs import OutputPaths

SIZE = "tiny"
DATA = "digits"
RUNS = ("rf", "rf_lzn", "rf_conditional", "joint", "joint_no_gen", "joint_small_cutoff", "representation")
FAMILIES = {
    "generative": ("rf", "rf_lzn", "rf_conditional", "joint", "joint_small_cutoff"),
    "classifying": ("joint", "joint_no_gen", "joint_small_cutoff"),
    "representing": ("representation",),
    "encoding": ("rf_lzn", "joint"),
}
DISTANCES = {"rf": 12.0, "rf_lzn": 8.0, "rf_conditional": 2.6, "joint": 2.5, "joint_small_cutoff": 2.5}
ACCURACIES = {"joint": 0.93, "joint_no_gen": 0.95, "joint_small_cutoff": 0.93}
TABLES = {
    "unconditional": {DATA: {"rf": "rf", "rf_lzn": "rf_lzn"}},
    "conditional": {"rf": "rf_conditional", "rf_lzn": "joint"},
    "classification": {"rf_lzn_no_gen": "joint_no_gen", "rf_lzn": "joint"},
    "cutoff": {"rf": "rf_conditional", "rf_lzn_u20": "joint", "rf_lzn_u5": "joint_small_cutoff"},
    "linear_probe": "representation",
}
SCATTER = {0: 0.0, 1: 0.02, 2: -0.01}
"""Relative deviation of the numbers of each seed."""


class MadeUpOutputs:
    """A folder with ``outputs/tiny`` and params.yaml."""

    def __init__(self, root: Path, *, seeds: Sequence[int] = (0, 1)) -> None:
        self.root = root
        self.seeds = seeds
        self.paths = OutputPaths(SIZE)
        self.params: dict[str, Any] = {
            "size": SIZE,
            "hardware": {"num_threads": 1},
            "families": {family: dict.fromkeys(runs, DATA) for family, runs in FAMILIES.items()},
            "tables": TABLES,
            "report": {"picture": "joint"},
        }
        self._write_trainings()
        self._write_numbers()
        self._write_pictures()
        self.write_params()

    def write_params(self) -> None:
        """Write params.yaml, for example after a change of ``params``."""
        YAML(typ="safe").dump(self.params, self.root / "params.yaml")

    def path(self, relative: Path) -> Path:
        """Return the path of an output file, and create its folder."""
        file = self.root / relative
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def write_measured(self, stage: str, run: str, by_seed: Mapping[int, object]) -> None:
        """Write the numbers that a measuring stage has for each seed."""
        for seed, measured in by_seed.items():
            self.path(self.paths.measured(stage, run, seed)).write_text(json.dumps(measured))

    def remove(self, stage: str) -> None:
        """Delete the outputs of a stage."""
        for file in (self.paths.metrics(stage, "any"), self.paths.plot(stage, "any")):
            shutil.rmtree(self.root / file.parent, ignore_errors=True)

    def key(self, run: str, seed: int) -> str:
        """Return the key of the MLflow run of a seed."""
        return f"{RUNS.index(run)}{seed}".rjust(16, "0")

    def _write_trainings(self) -> None:
        for run in RUNS:
            for seed in self.seeds:
                content = {
                    "name": run,
                    "size": SIZE,
                    "key": self.key(run, seed),
                    "num_classes": 10,
                    "code_sha256": None,
                    "checkpoint_sha256": None,
                    "run": {"data": DATA, "seeds": [seed], "training": {"batch_size": 128}},
                }
                self.path(self.paths.configuration(run, seed)).write_text(json.dumps(content))
                _write_csv(self.path(self.paths.curve(run, seed)), _curve(run, SCATTER[seed]))
            _write_csv(self.path(self.paths.plot("train", f"{run}.csv")), _curve(run, 0.0))

    def _write_numbers(self) -> None:
        features = {"accuracy": 0.98, "fd_of_test_images": 2.1}
        self.path(self.paths.metrics("features", DATA)).write_text(json.dumps(features))
        for run, distance in DISTANCES.items():
            measured = {seed: _images(distance, SCATTER[seed]) for seed in self.seeds}
            if run.startswith("joint"):
                for seed, numbers in measured.items():
                    numbers["unconditional"] = _images(3 * distance, SCATTER[seed])
            self.write_measured("measure", run, measured)
            by_steps = {seed: _by_steps(distance, SCATTER[seed]) for seed in self.seeds}
            self.write_measured("steps", run, by_steps)
        for run, accuracy in ACCURACIES.items():
            found = {seed: {"accuracy": accuracy * (1 + SCATTER[seed])} for seed in self.seeds}
            self.write_measured("classify", run, found)
        self.write_measured("settings", "joint", {seed: _settings(SCATTER[seed]) for seed in self.seeds})
        self.write_measured("probe", "representation", {seed: _probe(SCATTER[seed]) for seed in self.seeds})
        self.write_measured("tsne", "representation", dict.fromkeys(self.seeds, _clusters()))
        for run in FAMILIES["encoding"]:
            self.write_measured("zones", run, {seed: _zones(SCATTER[seed], run) for seed in self.seeds})

    def _write_pictures(self) -> None:
        grid = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (30, 1))
        for run in FAMILIES["generative"]:
            Image.fromarray(grid).save(self.path(self.paths.plot("sample", f"{run}/grid.png")))
            Image.fromarray(grid).save(self.path(self.paths.plot("sample", f"{run}/classes.png")))
        zones = np.repeat(np.arange(4, dtype=np.uint8), 4).reshape(4, 4).repeat(4, axis=1)
        for run in FAMILIES["classifying"]:
            for seed in self.seeds:
                self.write_measured(
                    "classify", run, {seed: {"accuracy": ACCURACIES[run] * (1 + SCATTER[seed])}}
                )
            np.save(self.path(self.paths.plot("classify", f"{run}.npy")), zones)
        points = [
            {"x": 3.0 * label + 0.1 * n, "y": -2.0 * label + 0.2 * n, "label": label}
            for label in range(3)
            for n in range(5)
        ]
        _write_csv(self.path(self.paths.plot("tsne", "representation.csv")), points)


def _write_csv(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _curve(run: str, scatter: float) -> list[dict[str, float]]:
    rows = []
    for step in range(25, 251, 25):
        row = {"step": step, "loss": (1 + scatter) * (0.4 + 30 / step), "skipped_steps": 0.0}
        if run.startswith(("joint", "representation")):
            row["alignment_accuracy"] = (1 + scatter) * 0.9 * step / 250
        if run.startswith("joint"):
            row |= {"alignment": -step / 250, "rectified_flow": (1 + scatter) * (0.35 + 30 / step)}
        rows.append(row)
    return rows


def _images(distance: float, scatter: float) -> dict[str, object]:
    return {
        "fd_digits": distance * (1 + scatter),
        "mmd_digits": distance * (1 - scatter) / 5000,
        "precision": 0.7 - distance / 50,
        "recall": 0.94,
        "reconstruction": 0.09 * (1 + scatter) + 0.1 / distance,
    }


def _by_steps(distance: float, scatter: float) -> dict[str, object]:
    return {
        "distance": {
            "fd_digits": {str(n): distance * (1 + scatter) * (1 + 20 / n) for n in (2, 5, 10, 50, 200)}
        }
    }


def _settings(scatter: float) -> dict[str, object]:
    def accuracy(size: int, alpha: float) -> float:
        return (1 + scatter) * (0.8 + 0.0003 * size - 0.05 * alpha)

    return {
        "accuracy": {
            str(size): {str(a): accuracy(size, a) for a in (0.0, 0.5, 1.0)} for size in (32, 128, 360)
        }
    }


def _probe(scatter: float) -> dict[str, object]:
    names = {"without_head": 0.93, "with_head": 0.85, "with_latent": 0.53, "with_latent_alpha_0": 0.87}
    trained = {name: {"top1": top1 * (1 + scatter), "top5": 0.99} for name, top1 in names.items()}
    untrained = {name: {"top1": top1 * (0.8 + scatter), "top5": 0.95} for name, top1 in names.items()}
    along = {str(step): {"top1": (0.7 + 0.001 * step) * (1 + scatter)} for step in (0, 50, 100, 200)}
    return {
        "trained": trained,
        "untrained": untrained,
        "raw_pixels": {"pixels": {"top1": 0.969, "top5": 1.0}},
        "along_training": along,
    }


def _clusters() -> dict[str, object]:
    one = {"mean_1": 3.0, "std_1": 2.0, "mean_2": -5.0, "std_2": 1.0}
    classes = {str(label): {**one, "mean_1": 10.0 * label} for label in range(3)}
    everything = {"mean_1": 10.0, "std_1": 20.0, "mean_2": -5.0, "std_2": 20.0}
    return {"classes": classes, "all": everything, "relative_std": 1.5 / 20.0}


def _zones(scatter: float, run: str) -> dict[str, object]:
    measured: dict[str, object] = {
        "num_anchors": {"batch": 128, "bank": 1437},
        "redrawn_batch": {"share": 0.42 * (1 + scatter), "standard_error": 0.016, "num_latents": 1600},
        "same_batch": {"share": 0.999, "standard_error": 0.0005, "num_latents": 1600},
        "bank": {"share": 1.0, "standard_error": 0.0, "num_latents": 300},
    }
    return {**measured, "accuracy": {"batch": 0.93, "bank": 0.92}} if run == "joint" else measured
