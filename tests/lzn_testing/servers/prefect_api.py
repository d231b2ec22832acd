"""A client of a Prefect server's HTTP API, with or without its password."""

import base64
import json
import time
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from uuid import uuid4

BUSY_SECONDS = 60.0
"""Requests answered with 503 (a busy database) are repeated for this long, as Prefect's own clients do."""
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class PrefectApi:
    """url: ends with `/api`. auth_string: `user:password`, or None for no login."""

    url: str
    auth_string: str | None = None

    def post(self, path: str, /, **body: object) -> Any:
        """Send a request and return the response. Raises HTTPError with the server's status."""
        return self._send("POST", path, json.dumps(body).encode())

    def get(self, path: str, /) -> Any:
        """Return the response to a GET request."""
        return self._send("GET", path)

    def _send(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Send a request, again while the server answers 503."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._send_once(method, path, body)
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _send_once(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.auth_string is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(self.auth_string.encode()).decode()}"
        request = urllib.request.Request(f"{self.url}/{path}", data=body, headers=headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=30.0
        ) as answer:
            return json.load(answer)

    def all_of(self, kind: str, **query: object) -> list[dict[str, Any]]:
        """Return all objects of a kind, such as `deployments`, that match the query."""
        return list(self.post(f"{kind}/filter", **query))

    def make_pool(self, name: str) -> None:
        """Make a work pool of processes with Prefect's default template."""
        workers = self.get("collections/views/aggregate-worker-metadata")
        template = workers["prefect"]["process"]["default_base_job_configuration"]
        self.post("work_pools/", name=name, type="process", base_job_template=template)

    def deploy(self, file: Path, flow: str, *, pool: str) -> None:
        """Make a deployment of a flow in a file; the deployment has the name of the flow."""
        self.post(
            "deployments/",
            name=flow,
            flow_id=self.post("flows/", name=flow)["id"],
            work_pool_name=pool,
            path=str(file.parent),
            entrypoint=f"{file.name}:{flow}",
        )

    def start(self, deployment: str, **parameters: object) -> str:
        """Start a run of the only deployment of this name; return its id."""
        [found] = [item for item in self.all_of("deployments") if item["name"] == deployment]
        run = self.post(
            f"deployments/{found['id']}/create_flow_run",
            parameters=parameters,
            state={"type": "SCHEDULED"},
            idempotency_key=str(uuid4()),  # repeated requests start one run
        )
        return str(run["id"])

    def state_of(self, run: str) -> dict[str, Any]:
        """Return the run's state: type, name and message."""
        [found] = self.all_of("flow_runs", flow_runs={"id": {"any_": [run]}})
        return dict(found["state"])

    def states_of(self, run: str) -> list[dict[str, Any]]:
        """Return all states of the run, each with its timestamp."""
        return list(self.get(f"flow_run_states/?flow_run_id={run}"))

    def log_of(self, run: str) -> list[str]:
        """Return the lines of a run's log."""
        return [str(line["message"]) for line in self.all_of("logs", logs={"flow_run_id": {"any_": [run]}})]

    def graph_of(self, run: str) -> dict[str, dict[str, Any]]:
        """Return the nodes of a run's graph, as its page in the UI requests them, by id."""
        return dict(self.get(f"flow_runs/{run}/graph-v2")["nodes"])

    def edges_of(self, run: str) -> dict[str, set[str]]:
        """Return the labels of the tasks in a run's graph, each with the labels of those before it."""
        nodes = self.graph_of(run)
        return {
            node["label"]: {nodes[parent["id"]]["label"] for parent in node["parents"]}
            for node in nodes.values()
            if node["kind"] == "task-run"
        }

    def artifact(self, key: str) -> dict[str, Any]:
        """Return the newest artifact of a key."""
        return dict(self.get(f"artifacts/{key}/latest"))

    def make_block(self, kind: str, name: str, /, **fields: object) -> str:
        """Make a block of a type that the server knows; return its id."""
        block_type = self.get(f"block_types/slug/{kind}")["id"]
        [schema, *_] = self.all_of("block_schemas", block_schemas={"block_type_id": {"any_": [block_type]}})
        made = self.post(
            "block_documents/", name=name, data=fields, block_type_id=block_type, block_schema_id=schema["id"]
        )
        return str(made["id"])

    def artifacts_of(self, run: str) -> list[dict[str, Any]]:
        """Return the artifacts of a flow run."""
        return self.all_of("artifacts", artifacts={"flow_run_id": {"any_": [run]}})

    def cancel(self, run: str) -> None:
        """Cancel a run, as the button in the UI does."""
        self.set_state(run, "CANCELLING")

    def set_state(self, run: str, kind: str, message: str = "") -> None:
        """Propose a state for a run, such as `PENDING`."""
        state = {"type": kind, "name": kind.capitalize(), "message": message}
        self.post(f"flow_runs/{run}/set_state", state=state)
