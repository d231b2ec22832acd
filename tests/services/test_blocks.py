"""Blocks of Prefect on a real server: a notification of failed flows, and the credentials of S3."""

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lzn_testing import PROJECT
from lzn_testing.processes.waiting import wait_until
from lzn_testing.servers.prefect_with_password import PrefectWithPassword, prefect_with_password

from pipelines.cluster.server_setup import FAILURES, UNSTARTED, ZOMBIES
from pipelines.local.prefect_server import HOST

pytestmark = pytest.mark.services

SECRET = "secret-of-this-test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectWithPassword]:
    with prefect_with_password(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture(scope="module")
def messages() -> Iterator[tuple[list[dict[str, Any]], str]]:
    """The messages that a team's channel receives, and its address."""
    received: list[dict[str, Any]] = []

    class Channel(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Log nothing."""

    channel = http.server.ThreadingHTTPServer((HOST, 0), Channel)
    threading.Thread(target=channel.serve_forever, daemon=True).start()
    yield received, f"http://{HOST}:{channel.server_port}/"
    channel.shutdown()


def deploy(server: PrefectWithPassword, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "pipelines.cluster.deploy", *arguments]
    ended = subprocess.run(
        command, cwd=PROJECT, env=server.environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["reproduce", "nightly", "train-one"])
def test_a_team_is_told_of_failed_and_crashed_flows(
    server: PrefectWithPassword, team: list[dict[str, Any]], name: str
) -> None:
    for state in ("FAILED", "CRASHED"):
        run = server.api.start(name, **({"run": "rf"} if name == "train-one" else {}))
        server.api.set_state(run, state, message=f"Stage 'train@rf' {state.lower()}")
        wait_until(lambda: len(team) > 0, "the message", seconds=30.0)
        message = team.pop()
        assert message["subject"].split()[0] == {"nightly": "reproduce"}.get(name, name)
        assert message["subject"].endswith(f": {state.capitalize()}")
        assert f"Stage 'train@rf' {state.lower()}" in message["body"]
        assert f"/runs/flow-run/{run}" in message["body"]


def test_other_flows_and_other_ends_are_not_told(
    server: PrefectWithPassword, team: list[dict[str, Any]]
) -> None:
    for deployment, state in (("cpu", "FAILED"), ("reproduce", "COMPLETED"), ("reproduce", "CANCELLED")):
        parameters = {"stage": "train@rf", "commit": "0"} if deployment == "cpu" else {}
        server.api.set_state(server.api.start(deployment, **parameters), state)
    time.sleep(5.0)
    assert team == []


@pytest.fixture(scope="module")
def team(server: PrefectWithPassword, messages: tuple[list[dict[str, Any]], str]) -> list[dict[str, Any]]:
    """The messages to a team, whose block and automation were made."""
    received, url = messages
    content = {"subject": "{{subject}}", "body": "{{body}}"}
    for name in ("team", "others"):
        server.api.make_block("custom-webhook", name, name=name, url=url, method="POST", json_data=content)
    assert f"automation {FAILURES!r}: created" in deploy(server, "--notify=custom-webhook/team")
    return received


def automations(server: PrefectWithPassword) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in server.api.all_of("automations")}


def test_the_automation_is_made_changed_and_removed_once(
    server: PrefectWithPassword, team: list[dict[str, Any]]
) -> None:
    assert automations(server).keys() == {ZOMBIES, UNSTARTED, FAILURES}
    assert f"automation {FAILURES!r}: unchanged" in deploy(server, "--notify=custom-webhook/team")
    before = automations(server)[FAILURES]
    assert f"automation {FAILURES!r}: changed" in deploy(server, "--notify=custom-webhook/others")
    after = automations(server)[FAILURES]
    assert before["id"] == after["id"]
    assert before["actions"][0]["block_document_id"] != after["actions"][0]["block_document_id"]
    assert f"automation {FAILURES!r}: removed" in deploy(server)
    assert automations(server).keys() == {ZOMBIES, UNSTARTED}
    assert FAILURES not in deploy(server)


def test_a_missing_block_and_one_that_cannot_notify_are_errors(server: PrefectWithPassword) -> None:
    error = deploy(server, "--notify=slack-webhook/nowhere", code=1).splitlines()[-1]
    assert error.startswith("error: Prefect has no notification block slack-webhook/nowhere: create one in")
    server.api.make_block("secret", "word", value=SECRET)
    error = deploy(server, "--notify=secret/word", code=1).splitlines()[-1]
    assert error.startswith("error: the block secret/word sends no notifications: ")


def variables(server: PrefectWithPassword, block: str) -> str:
    """Return what a flow's process finds in its environment, or the error."""
    program = (
        "import os\nfrom pipelines.cluster.worker.s3_block import use_s3_block\nuse_s3_block()\n"
        "print(*(f'{name}={value}' for name, value in sorted(os.environ.items()) if name.startswith('AWS_')))"
    )
    own = {name: value for name, value in server.environment.items() if not name.startswith("AWS_")}
    environment = {**own, "AWS_ACCESS_KEY_ID": "mine", "LZN_S3_BLOCK": block}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return (ended.stdout or ended.stderr).strip().splitlines()[-1]


def test_s3_credentials_come_from_a_block_if_one_is_named(server: PrefectWithPassword) -> None:
    fields = {"aws_access_key_id": "team", "aws_secret_access_key": SECRET, "region_name": "eu-central-1"}
    client = {"endpoint_url": "http://s3.example:8333"}
    server.api.make_block("aws-credentials", "team", **fields, aws_client_parameters=client)
    assert variables(server, "") == "AWS_ACCESS_KEY_ID=mine"
    assert variables(server, "aws-credentials/team") == (
        "AWS_ACCESS_KEY_ID=team AWS_DEFAULT_REGION=eu-central-1 AWS_ENDPOINT_URL=http://s3.example:8333 "
        f"AWS_SECRET_ACCESS_KEY={SECRET}"
    )


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("aws-credentials/nowhere", "LZN_S3_BLOCK: Prefect has no block aws-credentials/nowhere"),
        ("secret/word", "LZN_S3_BLOCK must be aws-credentials/NAME, got secret/word"),
        ("aws-credentials/empty", "the block aws-credentials/empty has no access key or no secret"),
    ],
)
def test_a_wrong_block_is_named(server: PrefectWithPassword, block: str, words: str) -> None:
    if block.endswith("/empty"):
        server.api.make_block("aws-credentials", "empty", aws_access_key_id="team")
    assert words in variables(server, block)
