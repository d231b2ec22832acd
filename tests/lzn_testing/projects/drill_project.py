"""The training in which things are broken, and what it leaves when nothing is."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dvc.utils.serialize import load_yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from benchmarks.small_project import copy_project, read_params, run_in, shrink_params, write_params

TARGET = "train@rf"
STAGES = ("prepare@digits", TARGET)
NUM_STEPS = 80
CHECKPOINT_EVERY = 10
EXPERIMENT = "lzn-digits"


def make_project(folder: Path) -> Path:
    """Make a repository with the project and one of its trainings alone, which takes seconds and saves itself often."""
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
    who = ["-c", "user.name=drill", "-c", "user.email=drill@example.org"]
    for command in (["add", "--all"], ["commit", "--quiet", "--message", "drill"]):
        subprocess.run(["git", *who, *command], cwd=folder, check=True)
    return folder


@dataclass(frozen=True)
class Tracked:
    """What MLflow has of the training: every point of every curve, parameters, artifacts."""

    status: str
    points: Mapping[str, list[tuple[int, float]]]
    params: Mapping[str, str]
    artifacts: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """What `dvc repro` makes in a clone on which nothing falls: hashes of outputs, and what MLflow has then."""

    outputs: Mapping[str, str]
    tracked: Tracked

    @staticmethod
    def make(project: Path, folder: Path) -> "Reference":
        subprocess.run(["git", "clone", "--quiet", str(project), str(folder)], check=True)
        done = run_in(folder, [sys.executable, "-m", "dvc", "repro", TARGET])
        assert done.returncode == 0, done.stdout + done.stderr
        client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        [run] = runs_of(client)
        return Reference(outputs_in(folder), tracked(client, run))


def runs_of(client: MlflowClient) -> list[Run]:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def tracked(client: MlflowClient, run: Run) -> Tracked:
    """All of a run but what the clock and the machine decide."""
    names = [name for name in run.data.metrics if not name.startswith("seconds.")]
    points = {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        for name in names
    }
    artifacts = tuple(sorted(item.path for item in client.list_artifacts(run.info.run_id)))
    return Tracked(run.info.status, points, run.data.params, artifacts)


def outputs_in(folder: Path) -> dict[str, str]:
    """Hashes of the outputs of the drill's stages, by path, as dvc.lock records them."""
    stages = load_yaml(str(folder / "dvc.lock"))["stages"]
    return {out["path"]: out["md5"] for name in STAGES for out in stages[name]["outs"]}
