"""A real Prefect server that asks for a password, with one process pool, in a temporary folder."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from lzn_oracles.mlflow_runs import free_port
from lzn_oracles.one_node_slurm import wait_until

USER, PASSWORD = "admin", "of-this-test"


class PrefectWithPassword:
    """The server; ``env_file`` holds, readable by its owner alone, what clients need."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        url = f"http://127.0.0.1:{port}/api"
        self._client = {
            "PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": f"{USER}:{PASSWORD}",
            "PREFECT_HOME": str(folder / "home"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip
        self.env_file = folder / "env"
        self.env_file.touch(mode=0o600)
        self.env_file.write_text("".join(f"export {name}={value}\n" for name, value in self._client.items()))
        self._api = httpx.Client(base_url=url, auth=(USER, PASSWORD), timeout=30)
        self._log = folder / "server.log"
        command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                env={**os.environ, **self._client, "PREFECT_SERVER_API_AUTH_STRING": f"{USER}:{PASSWORD}"},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def wait_until_it_answers(self) -> None:
        """12 s on two idle cores."""
        wait_until(self._answers, "Prefect's server", seconds=120, context=self._log.read_text)

    def stop(self) -> None:
        """Ends the server, which ends its own processes."""
        self._api.close()
        self._process.terminate()
        self._process.wait(30)

    def run(self, *command: str) -> None:
        """This interpreter as a client; it must succeed."""
        ended = subprocess.run(
            [sys.executable, *command],
            env={**os.environ, **self._client}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def start_flow_run(self, deployment: str, **parameters: Any) -> str:
        """Asks for a run of a deployment, FLOW/NAME; its id."""
        found = self._api.get(f"/deployments/name/{deployment}").raise_for_status().json()
        asked = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        made = self._api.post(f"/deployments/{found['id']}/create_flow_run", json=asked).raise_for_status()
        return str(made.json()["id"])

    def state(self, flow_run: str) -> str:
        """COMPLETED, CRASHED, ..."""
        return str(self._api.get(f"/flow_runs/{flow_run}").raise_for_status().json()["state"]["type"])

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self._api.get("/health").is_success
        except httpx.TransportError:
            return False
