"""A folder with its own parameters and MLflow database, in which stages are started with DVC's commands."""

import os
import subprocess
import sys
from pathlib import Path

from lzn_testing import PROJECT
from lzn_testing.servers.mlflow_runs import new_database

REMOVED_VARIABLES = (
    "MLFLOW_",
    "PET_",
    "LZN_PROCESSES",
    "RANK",
)  # prefixes; their values would change the tests


class StageFolder:
    """The folder, and the URI of its MLflow database."""

    def __init__(self, folder: Path, params: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.uri = new_database(folder)
        (folder / "params.yaml").write_text(params)

    def start(self, stage: str, item: str, **settings: str) -> "subprocess.Popen[str]":
        """Start a stage. ``settings`` are environment variables; by default the stage runs in one process."""
        return self.start_python("-m", f"stages.{stage}", item, **settings)

    def start_python(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(REMOVED_VARIABLES)
        }
        own = {"PYTHONPATH": str(PROJECT), "MLFLOW_TRACKING_URI": self.uri, "LZN_PROCESSES": "1"}
        own["CUDA_VISIBLE_DEVICES"] = ""  # results on CPUs are reproducible
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**environment, **own, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, stage: str, item: str) -> None:
        """Run a stage, which must succeed."""
        process = self.start(stage, item)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
