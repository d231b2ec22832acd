"""A stack that runs a small training while tests break its parts, and the checks after each fault."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil
from mlflow.tracking import MlflowClient

from infra.stack import Stack
from lzn_testing import PROJECT
from lzn_testing.processes.process_info import command_line, environment_variable
from lzn_testing.processes.waiting import wait_until
from lzn_testing.projects.drill_project import (
    CHECKPOINT_EVERY,
    TARGET,
    Reference,
    make_project_and_reference,
    outputs_in,
    runs_of,
    tracked,
)
from lzn_testing.projects.made_once import made_once
from lzn_testing.servers.prefect_api import PrefectApi
from lzn_testing.servers.stack_folders import started_stack
from pipelines.processes.commands import TAG_VARIABLE

MAX_STARTS = 3
_HEAD = "| fault, in the middle of a training | what happens | the flow ends | after |\n|---|---|---|---|\n"
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Drill:
    """The stack, its clients, and the table of faults. `prepared` is a DVC cache with the outputs of `prepare`."""

    stack: Stack
    reference: Reference
    prepared: Path
    rows: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment()

    @property
    def commit(self) -> str:
        """The commit that is run."""
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
            os.environ[name] = environment[name]  # MLflow's client reads them only there
        return MlflowClient(environment["MLFLOW_TRACKING_URI"])

    def deploy(self, *, gpus: int) -> None:
        """Set the number of the cluster's GPUs with the project's command."""
        command = [sys.executable, "-m", "pipelines.cluster.deploy", "--gpus", str(gpus)]
        subprocess.run(
            command, cwd=PROJECT, env={**os.environ, **self.environment}, check=True, capture_output=True
        )

    def reset(self) -> None:
        """Leave only the outputs of `prepare` in the remote; remove checkpoints, caches and MLflow's runs."""
        self.wait_until(lambda: not self.orphans(), 60, "the end of the previous fault's processes")
        shutil.rmtree(self.work / "state", ignore_errors=True)
        shutil.rmtree(self.work / "cache", ignore_errors=True)
        shutil.rmtree(self.work / "collected", ignore_errors=True)
        runs = list(self.bucket().objects.filter(Prefix="cache/runs/"))
        if not runs:
            runs = self._push_prepared()
        for item in runs:
            if b"stages.prepare" not in item.get()["Body"].read():
                item.delete()
        for run in runs_of(self.mlflow):
            self.mlflow.delete_run(run.info.run_id)

    def _push_prepared(self) -> list[Any]:
        """Copy the outputs of `prepare` into the remote, which has a cache's layout. Return its run-cache's objects."""
        bucket = self.bucket()
        for file in filter(Path.is_file, self.prepared.rglob("*")):
            bucket.upload_file(str(file), f"cache/{file.relative_to(self.prepared)}")
        return list(bucket.objects.filter(Prefix="cache/runs/"))

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
        """Start the flow. Return its run's id."""
        return self.api.start("reproduce", size="digits", targets=[TARGET])

    def start_until_training(self) -> str:
        """Start the flow and wait for the training's first checkpoint. Return the run's id."""
        run = self.start()
        self.wait_for_checkpoint(run, self.work / "state")
        return run

    def wait_for_checkpoint(self, run: str, state: Path) -> None:
        """Wait until a flow's training has written a checkpoint into `state`, a machine's shared state."""
        self.wait_until(
            lambda: any((state / "checkpoints").rglob("*.pt*")) or self.has_ended(run), 300, "a checkpoint"
        )
        assert not self.has_ended(run), self.api.state_of(run)

    def failure_of(self, run: str) -> str:
        """Wait for the end of a flow that must fail. Return its message."""
        self.wait_until(lambda: self.has_ended(run), 180, "the flow's end")
        state = self.api.state_of(run)
        assert state["type"] == "FAILED", state
        return str(state["message"])

    def has_ended(self, run: str) -> bool:
        return self.api.state_of(run)["type"] in _ENDED

    def wait_until_cancelled(self, run: str) -> None:
        """Wait until a run is Cancelled; Prefect first shows it as Crashed for some seconds."""
        self.wait_until(
            lambda: self.api.state_of(run)["type"] == "CANCELLED", 120, "the cancelled run's last state"
        )

    def finish(self, run: str, *, timeout: float = 600) -> int:
        """Wait until a flow completes, and restart it if it does not. Return the number of restarts."""
        for again in range(MAX_STARTS):
            self.wait_until(lambda run=run: self._has_ended_or_is_unknown(run), timeout, "the flow's end")
            state = self.api.state_of(run)
            if state["type"] == "COMPLETED":
                return again
            print(f"the flow ended {state['name']}: {state['message']}")
            run = self.start()
        raise AssertionError(f"the flow did not complete: {self.api.state_of(run)}")

    def inject(self, fault: str, outcome: str, action: Callable[[], object]) -> str:
        """Run `action`, which breaks something, during the training; check and record the outcome.

        Return the id of the flow's first run.
        """
        self.reset()
        run = self.start_until_training()
        begin = time.monotonic()
        action()
        again = self.finish(run)
        seconds = time.monotonic() - begin
        self.check()
        self.record(fault, outcome, again, seconds)
        return run

    def check(self) -> None:
        """Check for the reference's outputs, each point once in MLflow, and no remaining process or checkout."""
        assert outputs_in(self.work / "collected" / "digits") == self.reference.outputs
        [run] = runs_of(self.mlflow)
        assert tracked(self.mlflow, run) == self.reference.tracked
        self.wait_until(lambda: not self.orphans(), 60, "the end of all stages' processes")
        assert list((self.work / "checkouts").iterdir()) == []

    def check_resumed(self) -> None:
        """Check that the last run of the training continued from a checkpoint: its log has only later steps."""
        steps = [line for line in self.api.log_of(self.child_run(TARGET)) if ": step " in line]
        assert steps
        assert not [line for line in steps if f": step {CHECKPOINT_EVERY}:" in line]

    def record(self, fault: str, outcome: str, again: int, seconds: float) -> None:
        """Add a row to the table. again: number of restarts of the flow."""
        ended = "by itself" if again == 0 else f"started again {again} time{'s' if again > 1 else ''}"
        self.rows.append(f"| {fault} | {outcome} | {ended} | {seconds:.0f} s |")

    def write_table(self, name: str) -> None:
        """Write the table into the project's git-ignored folder `.faults`."""
        folder = PROJECT / ".faults"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.md").write_text(_HEAD + "\n".join(self.rows) + "\n", encoding="utf-8")

    def orphans(self, work: Path | None = None) -> list[psutil.Process]:
        """Return the processes of stages in this stack's work folder, or in `work` of another machine."""
        return [
            process
            for process in psutil.process_iter()
            if str(work or self.work) in environment_variable(process, TAG_VARIABLE)
        ]

    def training(self) -> psutil.Process:
        """Return the process that trains: of those with the stage's command, the one without children."""
        found = [process for process in self.orphans() if "stages.train" in command_line(process)]
        parents = {process.ppid() for process in found}
        [leaf] = [process for process in found if process.pid not in parents]
        return leaf

    def flow_process(self, flow_run: str) -> psutil.Process:
        """Return the process in which Prefect runs a flow."""
        for process in psutil.process_iter():
            is_of_run = environment_variable(process, "PREFECT__FLOW_RUN_ID") == flow_run
            if is_of_run and "prefect" in " ".join(command_line(process)):
                return process
        raise AssertionError(f"no process runs the flow run {flow_run}")

    def running(self, stage: str) -> set[str]:
        """Return the ids of a stage's runs in state Running."""
        wanted = {"name": {"any_": [stage]}, "state": {"type": {"any_": ["RUNNING"]}}}
        return {str(run["id"]) for run in self.api.all_of("flow_runs", flow_runs=wanted)}

    def child_run(self, stage: str) -> str:
        """Return the id of a stage's newest run."""
        runs = self.api.all_of("flow_runs", flow_runs={"name": {"any_": [stage]}}, sort="START_TIME_DESC")
        return str(runs[0]["id"])

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait with an interval that leaves the servers time for other requests."""
        wait_until(condition, what, seconds=seconds, interval=0.5)

    def _has_ended_or_is_unknown(self, run: str) -> bool:
        try:
            return self.has_ended(run)
        except OSError:  # the fault may be in the server
            return False


@contextmanager
def started_drill(folder: Path) -> Iterator[Drill]:
    """Start a stack with two workers on a clone of the project in `folder`. All drills share the reference."""
    made = made_once("drill", make_project_and_reference)
    project = folder / "project"
    subprocess.run(["git", "clone", "--quiet", str(made / "project"), str(project)], check=True)
    with started_stack(workers=2, repository=str(project), branches="main gpu") as stack:
        yield Drill(stack, Reference.read(made / "reference.json"), made / "prepared")


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)
