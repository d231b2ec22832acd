"""A stack that runs a small training, in which things are broken; and what must be true after each fault."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
from dvc.utils.serialize import load_yaml
from lzn_oracles.prefect_api import PrefectApi
from lzn_oracles.stack_folders import stack_folder
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from benchmarks.small_project import copy_project, read_params, run_in, shrink_params, write_params
from infra.stack import Stack
from pipelines.processes import OWNER_VARIABLE

TARGET = "train@rf"
STAGES = ("prepare@digits", TARGET)
ROOT = Path(__file__).resolve().parents[2]
NUM_STEPS = 80
EXPERIMENT = "lzn-digits"
MOST_STARTS = 3
_HEAD = "| fault, in the middle of a training | what happens | the flow ends | after |\n|---|---|---|---|\n"
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def make_project(folder: Path) -> Path:
    """A repository with the project and one of its trainings alone, which takes seconds and saves itself often.

    DVC reads every stage of every size at each of its starts: without the others a drill takes half as long.
    """
    copy_project(folder)
    shutil.rmtree(folder / "scales")
    shrink_params(folder, num_steps=3)
    params = read_params(folder)
    params["runs"] = {"rf": params["runs"]["rf"] | {"seeds": [0]}}
    params["runs"]["rf"]["training"] |= {"num_steps": NUM_STEPS, "checkpoint_every": 10, "log_every": 10}
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


@dataclass
class Drill:
    """The stack, its clients, and the log of faults."""

    stack: Stack
    reference: Reference
    rows: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment()

    @property
    def commit(self) -> str:
        """The hash of the commit that is run."""
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=self.environment["LZN_REPOSITORY"], check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    @property
    def work(self) -> Path:
        return Path(self.environment["LZN_WORK"])

    @property
    def api(self) -> PrefectApi:
        environment = self.environment
        return PrefectApi(environment["PREFECT_API_URL"], environment["PREFECT_API_AUTH_STRING"])

    @property
    def mlflow(self) -> MlflowClient:
        environment = self.environment
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            os.environ[name] = environment[name]  # MLflow's client has no other way
        return MlflowClient(environment["MLFLOW_TRACKING_URI"])

    def reset(self) -> None:
        """As if only `prepare` had been run: no training, no checkpoint, no run in MLflow, no cached output."""
        self.wait_until(lambda: not self.orphans(), 60, "processes of the fault before have ended")
        shutil.rmtree(self.work / "state", ignore_errors=True)
        shutil.rmtree(self.work / "cache", ignore_errors=True)
        shutil.rmtree(self.work / "collected", ignore_errors=True)
        is_prepared = False
        for item in self.bucket().objects.filter(Prefix="cache/runs/"):
            if b"stages.prepare" in item.get()["Body"].read():
                is_prepared = True
            else:
                item.delete()
        if not is_prepared:
            self.finish(self.api.start("reproduce", size="digits", targets=[STAGES[0]]))
        for run in runs_of(self.mlflow):
            self.mlflow.delete_run(run.info.run_id)

    def bucket(self) -> Any:
        environment = self.environment
        s3 = boto3.resource(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )
        return s3.Bucket("lzn-dvc")

    def start(self) -> str:
        """Start the flow; return its run."""
        return self.api.start("reproduce", size="digits", targets=[TARGET])

    def start_until_training(self) -> str:
        """Start the flow, and wait until its training has saved itself once and is not near its end."""
        run = self.start()
        self.wait_until(
            lambda: any((self.work / "state" / "checkpoints").rglob("*.pt*")) or self.has_ended(run),
            300,
            "a checkpoint",
        )
        assert not self.has_ended(run), self.api.state_of(run)
        return run

    def has_ended(self, run: str) -> bool:
        return self.api.state_of(run)["type"] in _ENDED

    def wait_until_cancelled(self, run: str) -> None:
        """Wait for a run's last state: for some seconds Prefect calls it Crashed, since its process has ended."""
        self.wait_until(
            lambda: self.api.state_of(run)["type"] == "CANCELLED", 120, "the cancelled run's last state"
        )

    def finish(self, run: str, *, timeout: float = 600) -> int:
        """Wait for the flow; start it again where it did not complete. How often it was started again."""
        for again in range(MOST_STARTS):
            self.wait_until(lambda run=run: self._has_ended_or_server_is_away(run), timeout, "the flow's end")
            state = self.api.state_of(run)
            if state["type"] == "COMPLETED":
                return again
            print(f"the flow ended {state['name']}: {state['message']}")
            run = self.start()
        raise AssertionError(f"the flow did not complete: {self.api.state_of(run)}")

    def survive(self, fault: str, happens: str, inflict: Callable[[], object]) -> None:
        """Break something in the middle of the training, and check what must be true once the flow has ended."""
        self.reset()
        run = self.start_until_training()
        begin = time.monotonic()
        inflict()
        again = self.finish(run)
        seconds = time.monotonic() - begin
        self.check()
        self.record(fault, happens, again, seconds)

    def check(self) -> None:
        """Same outputs as undisturbed; in MLflow each point once; nothing left running or lying about."""
        assert outputs_in(self.work / "collected" / "digits") == self.reference.outputs
        [run] = runs_of(self.mlflow)
        assert tracked(self.mlflow, run) == self.reference.tracked
        self.wait_until(lambda: not self.orphans(), 60, "no process is left of stages")
        assert list((self.work / "checkouts").iterdir()) == []

    def record(self, fault: str, happens: str, again: int, seconds: float) -> None:
        ended = "by itself" if again == 0 else f"started again {again} time{'s' if again > 1 else ''}"
        self.rows.append(f"| {fault} | {happens} | {ended} | {seconds:.0f} s |")

    def write_table(self, name: str) -> None:
        """Leave what was recorded as a table in the project's git-ignored folder `.faults`."""
        folder = ROOT / ".faults"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.md").write_text(_HEAD + "\n".join(self.rows) + "\n", encoding="utf-8")

    def orphans(self) -> list[psutil.Process]:
        """Processes of stages in this stack's folders."""
        return [process for process in psutil.process_iter() if str(self.work) in _mark(process)]

    def training(self) -> psutil.Process:
        """The process that trains: the last in the chain of those with the stage's command."""
        found = [process for process in self.orphans() if "stages.train" in " ".join(_command(process))]
        parents = {process.ppid() for process in found}
        [leaf] = [process for process in found if process.pid not in parents]
        return leaf

    def flow_process(self, flow_run: str) -> psutil.Process:
        """The process in which Prefect runs a flow."""
        for process in psutil.process_iter():
            try:
                if process.environ().get("PREFECT__FLOW_RUN_ID") == flow_run and "prefect" in " ".join(
                    _command(process)
                ):
                    return process
            except (psutil.Error, OSError):
                continue
        raise AssertionError(f"no process runs the flow run {flow_run}")

    def running(self, stage: str) -> set[str]:
        """Runs of a stage that run now."""
        wanted = {"name": {"any_": [stage]}, "state": {"type": {"any_": ["RUNNING"]}}}
        return {str(run["id"]) for run in self.api.all_of("flow_runs", flow_runs=wanted)}

    def child_run(self, stage: str) -> str:
        """The newest run of a stage."""
        runs = self.api.all_of("flow_runs", flow_runs={"name": {"any_": [stage]}}, sort="START_TIME_DESC")
        return str(runs[0]["id"])

    def as_worker(self, *command: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run a command with a worker's environment, changed."""
        environment = {**os.environ, **self.environment, **changes}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def wait_until(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}"
            time.sleep(0.25)

    def _has_ended_or_server_is_away(self, run: str) -> bool:
        try:
            return self.has_ended(run)
        except OSError:  # the fault may be the server's
            return False


@contextmanager
def started_drill(folder: Path) -> Iterator[Drill]:
    """A stack with two workers and the undisturbed reference; both end with it."""
    (folder / "project").mkdir()
    project = make_project(folder / "project")
    reference = Reference.make(project, folder / "clone")
    with stack_folder() as place:
        stack = Stack(place)
        stack.up(workers=2, repository=str(project))
        yield Drill(stack, reference)


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)


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


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(OWNER_VARIABLE, "")
    except (psutil.Error, OSError):
        return ""


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
