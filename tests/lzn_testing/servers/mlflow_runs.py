"""A real MLflow server to break, and short ways to read what stands in MLflow."""

import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

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
        """Returns when the server answers, 8 s on two cores."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mlflow server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to the server and its workers, as by a machine that goes down."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def num_requests(self, path: str) -> int:
        """How many requests for ``path`` the server has answered."""
        return self.log.read_text().count(f"{path} HTTP")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def new_database(folder: Path) -> str:
    """URI of an empty MLflow database in ``folder``."""
    (folder / "mlflow.db").write_bytes(_empty_database())
    return f"sqlite:///{folder}/mlflow.db"


@functools.cache
def _empty_database() -> bytes:
    """MLflow's migrations take 3 s, too long for every test."""
    with tempfile.TemporaryDirectory() as folder:
        connect(f"sqlite:///{folder}/mlflow.db")
        return (Path(folder) / "mlflow.db").read_bytes()


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def runs_of(uri: str, experiment: str) -> list[Run]:
    """All runs of an experiment; none when it does not exist."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def only_run(uri: str, experiment: str) -> Run:
    """The experiment's run, of which there must be exactly one."""
    (run,) = runs_of(uri, experiment)
    return run


def curve(uri: str, run: Run, metric: str) -> list[tuple[int, float]]:
    """All (step, value) that MLflow holds for a metric, doubled ones too, in order of steps."""
    history = MlflowClient(uri).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in history)


def artifact_text(uri: str, run: Run, artifact: str, folder: Path) -> str:
    """Contents of an artifact."""
    folder.mkdir(exist_ok=True)
    return Path(MlflowClient(uri).download_artifacts(run.info.run_id, artifact, str(folder))).read_text()
