"""A real MLflow server that tests can kill, and functions that read runs from MLflow."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from lzn_testing.processes.waiting import wait_until
from lzn_testing.projects.made_once import made_once
from pipelines.local.prefect_server import free_port
from stages.tracking.experiments import LEVEL_TAG
from stages.tracking.server import connect


class MlflowServer:
    """``mlflow server`` on a free loopback port, with its database and artifacts in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers; it takes 8 s on two cores."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(
            self._is_healthy,
            "MLflow",
            seconds=120,
            interval=0.1,
            context=lambda: self.log.read_text()[-2000:],
        )

    def kill(self) -> None:
        """Kill the server and its workers, as a machine that fails does."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def num_requests(self, path: str) -> int:
        """Return how many requests for ``path`` the server has answered."""
        return self.log.read_text().count(f"{path} HTTP")

    def _is_healthy(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def new_database(folder: Path) -> str:
    """Make an empty MLflow database in ``folder``. Return its URI."""
    shutil.copy(made_once("mlflow", _migrate) / "mlflow.db", folder)
    return f"sqlite:///{folder}/mlflow.db"


def _migrate(folder: Path) -> None:
    connect(f"sqlite:///{folder}/mlflow.db")


def runs_of(uri: str, experiment: str) -> list[Run]:
    """Return all runs of an experiment but parents of others; an empty list if it does not exist."""
    return [run for run in _all_runs(uri, experiment) if run.data.tags.get(LEVEL_TAG) != "family"]


def families_of(uri: str, experiment: str) -> list[Run]:
    """Return the parents of the seeds of each run."""
    return [run for run in _all_runs(uri, experiment) if run.data.tags.get(LEVEL_TAG) == "family"]


def _all_runs(uri: str, experiment: str) -> list[Run]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def only_run(uri: str, experiment: str) -> Run:
    """Return the experiment's only run. Fails if there are none or several."""
    (run,) = runs_of(uri, experiment)
    return run


def curve(uri: str, run: Run, metric: str) -> list[tuple[int, float]]:
    """Return all (step, value) of a metric, with duplicates, in order of steps."""
    history = MlflowClient(uri).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in history)


def artifact_text(uri: str, run: Run, artifact: str, folder: Path) -> str:
    """Return the text of an artifact."""
    folder.mkdir(exist_ok=True)
    return Path(MlflowClient(uri).download_artifacts(run.info.run_id, artifact, str(folder))).read_text()
