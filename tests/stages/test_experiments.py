"""Real `dvc exp run` on a pipeline of one run with a few steps, and what a clone without data shows."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from benchmarks.small_project import commit_all, copy_project, keep_one_run, run_in, shrink_params

DVC = ["python", "-m", "dvc"]
TARGET = "results@digits"
FETCH = ["make", "--old-file=.venv/installed", "fetch-results"]
"""The command of people, without the installation."""
SECONDS = 1200.0
"""The limit for one command: a pipeline takes a minute on two idle cores."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * SECONDS)]


def dvc(project: Path, *arguments: str) -> str:
    """Run a command of DVC, which must succeed; return what it prints."""
    done = run_in(project, [*DVC, *arguments], timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def files_of(project: Path) -> dict[str, bytes]:
    """Return the files that an experiment outside of the workspace must not change."""
    folders = ("outputs", "results", "live")
    files = [file for folder in folders for file in (project / folder).rglob("*") if file.is_file()]
    return {str(file.relative_to(project)): file.read_bytes() for file in [*files, project / "params.yaml"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the pipeline once and commit its results, beside those of another size."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    shrink_params(folder, num_steps=3)
    keep_one_run(folder)
    (folder / "dvc.lock").unlink()
    (folder / "results/metrics").mkdir(parents=True, exist_ok=True)
    (folder / "results/metrics/fashion.json").write_text('{"fashion_rf": {"fd_fashion": 4.5}}')
    (folder / "results/plots/training_loss").mkdir(parents=True, exist_ok=True)
    (folder / "results/plots/training_loss/fashion.csv").write_text("run,step,loss\nfashion_rf,100,0.5\n")
    for name, value in {"user.name": "lzn", "user.email": "lzn@example.org"}.items():
        subprocess.run(["git", "config", name, value], cwd=folder, check=True)
    commit_all(folder, "the project")
    dvc(folder, "repro")
    commit_all(folder, "its results")
    return folder


@dataclass(frozen=True)
class Experiments:
    """The workspace before and after the experiments, and the experiments by name: parameters and numbers."""

    before: dict[str, bytes]
    after: dict[str, bytes]
    by_name: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def experiments(project: Path) -> Experiments:
    """Run one experiment with ``--temp``, and a sweep of two with ``--queue`` and two workers at once.

    The two of the sweep train the same run: one of the workers waits for the training of the other.
    """
    before = files_of(project)
    steps = "runs.rf.training.num_steps"
    dvc(project, "exp", "run", "--temp", "--name", "four", "--set-param", f"{steps}=4", TARGET)
    sweep = ["--set-param", f"{steps}=5", "--set-param", "sample.digits.seed=1,2"]
    dvc(project, "exp", "run", "--queue", "--name", "five", *sweep, TARGET)
    dvc(project, "queue", "start", "--jobs", "2")
    wait_for_queue(project)
    return Experiments(before, files_of(project), shown_experiments(project))


def wait_for_queue(project: Path) -> None:
    """Wait until each queued experiment has ended. While a queue starts, commands that read it may fail or hang."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        time.sleep(5)
        try:
            status = run_in(project, [*DVC, "queue", "status"], timeout=60)
        except subprocess.TimeoutExpired:
            continue
        if status.returncode == 0 and not {"Queued", "Running"} & set(status.stdout.split()):
            return
    pytest.fail(status.stdout + status.stderr)


def shown_experiments(project: Path) -> dict[str, dict[str, Any]]:
    """Return the experiments on the last commit, by name."""
    _workspace, baseline = json.loads(dvc(project, "exp", "show", "--json"))
    found = {}
    for experiment in baseline["experiments"] or []:
        data = experiment["revs"][0]["data"]
        params = data["params"]["params.yaml"]["data"]
        numbers = data["metrics"]["results/metrics/digits.json"]["data"]["rf"]
        sets = (params["runs"]["rf"]["training"]["num_steps"], params["sample"]["digits"]["seed"])
        found[experiment["name"]] = {"sets": sets, **numbers}
    return found


def test_temporary_and_queued_experiments_have_their_parameters_and_their_own_numbers(
    experiments: Experiments, project: Path
) -> None:
    by_name = experiments.by_name
    assert {name: found["sets"] for name, found in by_name.items()} == {
        "four": (4, 0),
        "five-1": (5, 1),
        "five-2": (5, 2),
    }
    baseline = json.loads((project / "results/metrics/digits.json").read_text())["rf"]
    distances = [found["fd_digits"] for found in [baseline, *by_name.values()]]
    assert len(set(distances)) == 4
    # The reconstruction does not depend on the seed of the samples: the two trained the same weights.
    assert by_name["five-1"]["reconstruction"] == by_name["five-2"]["reconstruction"]
    assert by_name["four"]["reconstruction"] != by_name["five-1"]["reconstruction"]


def test_the_workspace_is_untouched(experiments: Experiments, project: Path) -> None:
    assert experiments.after == experiments.before
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=project, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_the_mlflow_runs_are_in_the_projects_database_with_the_experiments_name_and_baseline(
    experiments: Experiments, project: Path
) -> None:
    client = MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("lzn-digits")
    assert experiment is not None
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True
    )
    baselines = {}
    for run in client.search_runs([experiment.experiment_id], filter_string="params.seed = '0'"):
        name = run.data.tags.get("dvc_exp_name")
        baselines[run.data.params["training.num_steps"], name and name[:4]] = run.data.tags.get(
            "dvc_exp_baseline_rev"
        )
    commit = head.stdout.strip()
    assert baselines == {("3", None): None, ("4", "four"): commit, ("5", "five"): commit}


def test_checkpoints_and_unfinished_work_are_in_the_project(experiments: Experiments, project: Path) -> None:
    trained = [folder for folder in (project / ".checkpoints/digits").glob("rf-*") if folder.is_dir()]
    assert len(trained) == 1  # trainings that differ only in their number of steps share it
    assert list((project / ".checkpoints").rglob("*.partial*")) == []


@pytest.fixture(scope="module")
def clone(project: Path, experiments: Experiments, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clone the branch of an experiment, without data and without a remote."""
    dvc(project, "exp", "branch", "four", "four-steps")
    folder = tmp_path_factory.mktemp("clone") / "project"
    command = ["git", "clone", "--quiet", "--branch", "four-steps", str(project), str(folder)]
    subprocess.run(command, check=True)
    return folder


def test_a_clone_shows_the_committed_numbers_of_each_size(clone: Path) -> None:
    shown = json.loads(dvc(clone, "metrics", "show", "--json"))[""]["data"]
    assert shown["results/metrics/fashion.json"]["data"] == {"fashion_rf": {"fd_fashion": 4.5}}
    assert set(shown["results/metrics/digits.json"]["data"]["rf"]) == {"fd_digits", "reconstruction"}


def test_a_clone_compares_numbers_with_those_of_the_commit_before(
    clone: Path, experiments: Experiments, project: Path
) -> None:
    changed = json.loads(dvc(clone, "metrics", "diff", "--json", "HEAD~1"))["results/metrics/digits.json"]
    baseline = json.loads((project / "results/metrics/digits.json").read_text())["rf"]
    assert changed["rf.fd_digits"]["old"] == baseline["fd_digits"]
    assert changed["rf.fd_digits"]["new"] == experiments.by_name["four"]["fd_digits"]


def test_a_clone_shows_its_commit_as_an_experiment_with_its_numbers(clone: Path) -> None:
    _workspace, head = json.loads(dvc(clone, "exp", "show", "--json"))
    assert set(head["data"]["metrics"]) == {"results/metrics/digits.json", "results/metrics/fashion.json"}


def test_a_clone_draws_the_curves_of_each_size(clone: Path) -> None:
    done = run_in(clone, [*DVC, "plots", "show"])
    assert (done.returncode, done.stderr) == (0, "")
    page = (clone / "dvc_plots/index.html").read_text()
    for file in ("training_loss/digits", "training_loss/fashion", "euler_steps/digits"):
        assert f"results/plots/{file}.csv" in page


def test_without_a_remote_the_results_cannot_be_fetched_and_the_error_says_how_to_add_one(
    clone: Path,
) -> None:
    done = run_in(clone, FETCH)
    assert done.returncode == 2
    assert "dvc remote add --default" in done.stderr


def test_with_a_remote_all_outputs_of_the_commit_are_fetched(
    project: Path, experiments: Experiments, clone: Path, tmp_path: Path
) -> None:
    dvc(project, "remote", "add", "--local", "--default", "team", str(tmp_path / "team"))
    dvc(project, "push")
    subprocess.run(["git", "checkout", "--quiet", "HEAD~1"], cwd=clone, check=True)
    dvc(clone, "remote", "add", "--local", "--default", "team", str(tmp_path / "team"))
    done = run_in(clone, FETCH)
    assert done.returncode == 0, done.stderr
    assert (clone / "outputs/digits/train/rf/seed_0/weights.safetensors").exists()
    assert (clone / "outputs/digits/tables/tables.md").exists()
