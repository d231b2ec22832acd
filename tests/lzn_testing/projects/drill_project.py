"""The project whose training tests interrupt, and the reference: its outputs and MLflow records without faults."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dvc.utils.serialize import load_yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from benchmarks.small_project import (
    commit_all,
    copy_project,
    read_params,
    run_in,
    shrink_params,
    write_params,
)

TARGET = "train@rf"
STAGES = ("prepare@digits", TARGET)
NUM_STEPS = 80
CHECKPOINT_EVERY = 10
EXPERIMENT = "lzn-digits"


def make_project(folder: Path) -> Path:
    """Make a repository with the project and one short training, which often writes a checkpoint."""
    copy_project(folder)
    shrink_params(folder, num_steps=3)
    params = read_params(folder)
    params["runs"] = {"rf": params["runs"]["rf"] | {"seeds": [0]}}
    params["runs"]["rf"]["training"] |= {
        "num_steps": NUM_STEPS,
        "checkpoint_every": CHECKPOINT_EVERY,
        "log_every": CHECKPOINT_EVERY,
    }
    params["families"] = {
        "generative": {"rf": "digits"},
        "classifying": {},
        "representing": {},
        "encoding": {},
    }
    write_params(folder, params)
    commit_all(folder, "drill")
    return folder


@dataclass(frozen=True)
class Tracked:
    """The records of a training in MLflow: points of curves, parameters, artifacts."""

    status: str
    points: Mapping[str, list[tuple[int, float]]]
    params: Mapping[str, str]
    artifacts: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """Hashes of outputs and records in MLflow after `dvc repro` in a clone, without faults."""

    outputs: Mapping[str, str]
    tracked: Tracked

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @staticmethod
    def read(file: Path) -> "Reference":
        content = json.loads(file.read_text())
        record = content["tracked"]
        points = {name: [(step, value) for step, value in curve] for name, curve in record["points"].items()}
        record |= {"points": points, "artifacts": tuple(record["artifacts"])}
        return Reference(content["outputs"], Tracked(**record))


def make_project_and_reference(folder: Path) -> None:
    """Make the repository `project`, `prepared` (DVC's cache after the stage `prepare`) and `reference.json`."""
    project, clone = folder / "project", folder / "clone"
    project.mkdir()
    make_project(project)
    subprocess.run(["git", "clone", "--quiet", str(project), str(clone)], check=True)
    _repro(clone, STAGES[0])
    shutil.copytree(clone / ".dvc/cache", folder / "prepared")
    _repro(clone, TARGET)
    client = MlflowClient(f"sqlite:///{clone}/mlflow.db")
    [run] = runs_of(client)
    Reference(outputs_in(clone), tracked(client, run)).write(folder / "reference.json")


def _repro(clone: Path, target: str) -> None:
    done = run_in(clone, [sys.executable, "-m", "dvc", "repro", target])
    assert done.returncode == 0, done.stdout + done.stderr


def runs_of(client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = [] if experiment is None else client.search_runs([experiment.experiment_id])
    return [run for run in found if run.data.tags.get("level") != "family"]


def tracked(client: MlflowClient, run: Run) -> Tracked:
    """Return the records of a run, without times."""
    names = [name for name in run.data.metrics if not name.startswith(("seconds/", "memory/", "system/"))]
    points = {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        for name in names
    }
    artifacts = tuple(sorted(item.path for item in client.list_artifacts(run.info.run_id)))
    return Tracked(run.info.status, points, run.data.params, artifacts)


def outputs_in(folder: Path) -> dict[str, str]:
    """Return the hashes of outputs in dvc.lock, by path."""
    stages = load_yaml(str(folder / "dvc.lock"))["stages"]
    return {out["path"]: out["md5"] for name in STAGES for out in stages[name]["outs"]}
