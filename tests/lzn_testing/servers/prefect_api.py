"""A Prefect server's API as a browser or a stranger sees it: plain HTTP, with or without its password."""

import base64
import json
import time
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

BUSY_SECONDS = 60.0
"""For how long an answer 503 is taken for a database that other requests hold; Prefect's own clients ask again, too."""
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class PrefectApi:
    """url: up to and with `/api`. auth_string: `user:password`, or None to ask as nobody."""

    url: str
    auth_string: str | None = None

    def post(self, path: str, **body: object) -> Any:
        """The answer to a request with this body. Raises HTTPError with the server's status."""
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The answer; asked again while the server is too busy."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._ask_once(method, path, body)
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _ask_once(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.auth_string is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(self.auth_string.encode()).decode()}"
        request = urllib.request.Request(f"{self.url}/{path}", data=body, headers=headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=30.0
        ) as answer:
            return json.load(answer)

    def all_of(self, what: str, **query: object) -> list[dict[str, Any]]:
        """Everything of a kind, as `deployments`, that the query leaves."""
        return list(self.post(f"{what}/filter", **query))

    def start(self, deployment: str, **parameters: object) -> str:
        """Start a run of the only deployment of this name; return its id."""
        [found] = [item for item in self.all_of("deployments") if item["name"] == deployment]
        run = self.post(
            f"deployments/{found['id']}/create_flow_run",
            parameters=parameters,
            state={"type": "SCHEDULED"},
            idempotency_key=str(uuid4()),  # one run, however often it is asked for
        )
        return str(run["id"])

    def state_of(self, run: str) -> dict[str, Any]:
        """The run's state: type, name and message."""
        [found] = self.all_of("flow_runs", flow_runs={"id": {"any_": [run]}})
        return dict(found["state"])

    def states_of(self, run: str) -> list[dict[str, Any]]:
        """All states that the run has had, each with its timestamp."""
        return list(self._ask("GET", f"flow_run_states/?flow_run_id={run}"))

    def log_of(self, run: str) -> list[str]:
        """What a run has logged, line by line."""
        return [str(line["message"]) for line in self.all_of("logs", logs={"flow_run_id": {"any_": [run]}})]

    def cancel(self, run: str) -> None:
        """As the button of the UI does it."""
        self.set_state(run, "CANCELLING")

    def set_state(self, run: str, kind: str) -> None:
        """Propose a state of this type, as `PENDING`, for the run."""
        self.post(f"flow_runs/{run}/set_state", state={"type": kind, "name": kind.capitalize()})
