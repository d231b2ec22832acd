"""Copy the project into another folder, and reduce its trainings to a few steps."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]


def copy_project(destination: Path) -> Path:
    """Copy all files that git tracks or would track into a new git repository. Return ``destination``."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, destination / name)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main"], cwd=destination, check=True)
    return destination


def commit_all(project: Path, message: str) -> None:
    """Commit all files of a copy."""
    author = ["-c", "user.name=lzn", "-c", "user.email=lzn@example.org"]
    for command in (["add", "--all"], ["commit", "--quiet", "--message", message]):
        subprocess.run(["git", *author, *command], cwd=project, check=True)


def shrink_params(project: Path, *, num_steps: int) -> None:
    """Reduce params.yaml: short trainings, Euler sampling in two steps, few images, quick probes, zones of one run.

    Two runs have two seeds. The run with u = 5 is removed, and ``joint`` takes its place in the tables.
    """
    params = read_params(project)
    families = params["families"]
    families["encoding"] = {"joint": families["encoding"]["joint"]}
    params["runs"].pop("joint_small_cutoff")
    for family in ("generative", "classifying"):
        families[family].pop("joint_small_cutoff")
    params["tables"]["cutoff"]["rf_lzn_u5"] = "joint"
    for name, run in params["runs"].items():
        run["seeds"] = [0, 1] if name in ("rf", "rf_lzn") else [0]
    for run in [*params["runs"].values(), *params["features"].values()]:
        run["training"] = {
            **run["training"], "num_steps": num_steps, "batch_size": 64, "warmup_steps": 1, "log_every": 1,
            "checkpoint_every": 1, "snapshot_steps": [],
        }  # fmt: skip
    euler = {"kind": "euler", "num_steps": 2}
    for name in params["data"]:
        params["classify"][name]["slice_points"] = 20
        quick = {"kind": "logistic", "max_iterations": 20}
        params["probe"][name] |= {"method": quick, "along_training": quick}
        params["steps"][name] |= {"num_images": 20, "num_steps": [2, 3]}
        params["settings"][name] |= {"batch_sizes": [100, 360], "alphas": [0.0, 1.0]}
        params["tsne"][name] |= {"images_per_class": 4, "perplexity": 5.0}
        params["zones"][name]["stability"] = {
            "seed": 0, "latent_solver": euler, "zone_solver": euler, "num_pairs": 2, "samples_per_pair": 10,
            "bank_samples": 10,
        }  # fmt: skip
        params["sample"][name]["sampler"] = euler
        params["measure"][name]["reconstruction"] = {
            "num_images": 8, "num_draws": 1, "batch_size": 4, "sampler": euler,
        }  # fmt: skip
    write_params(project, params)


def keep_one_run(project: Path, name: str = "rf") -> None:
    """Reduce params.yaml to one run of rectified flow with one seed, after `shrink_params`."""
    params = read_params(project)
    params["runs"] = {name: {**params["runs"][name], "seeds": [0]}}
    for family, runs in params["families"].items():
        params["families"][family] = {name: runs[name]} if family == "generative" else {}
    for stage in ("classify", "probe", "settings", "tsne", "zones"):
        params[stage] = {}
    params["tables"], params["report"] = {}, {}
    write_params(project, params)


def read_params(project: Path) -> dict[str, Any]:
    """Read the parameters of a copy."""
    content: dict[str, Any] = YAML(typ="safe").load(project / "params.yaml")
    return content


def write_params(project: Path, params: Mapping[str, Any]) -> None:
    """Replace the parameters of a copy."""
    yaml = YAML()
    yaml.representer.ignore_aliases = lambda data: True
    yaml.dump(dict(params), project / "params.yaml")


def run_in(
    project: Path, command: Sequence[str], *, timeout: float = 840
) -> subprocess.CompletedProcess[str]:
    """Run a command with this interpreter's programs on the PATH, without the user's settings of MLflow and DVC."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_"))
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
