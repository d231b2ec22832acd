"""The stack starts, restarts killed servers, keeps its state, and leaves no process when it stops."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from lzn_testing.processes.process_info import command_line
from lzn_testing.processes.waiting import wait_until
from lzn_testing.servers.stack_folders import started_stack

from infra.buckets import ABORT_UPLOADS_DAYS
from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET
from infra.stack import Stack, StackError
from infra.stack.credentials import load_credentials, load_ports
from infra.stack.http_checks import request_json
from infra.stack.process_tags import tagged_processes
from infra.stack.s3 import admin_client, s3_client

pytestmark = pytest.mark.services

SERVERS = ("postgres", "s3", "mlflow", "prefect")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Not shared with other files, since tests kill and stop it."""
    with started_stack(workers=0) as stack:
        yield stack


def _secrets(stack: Stack) -> list[str]:
    values = load_credentials(stack.layout).model_dump()
    keys = [pair.pop("secret") for pair in values.values() if isinstance(pair, dict)]
    return [*keys, *(value for value in values.values() if isinstance(value, str))]


def _command(stack: Stack, *words: str) -> "subprocess.CompletedProcess[str]":
    name, *rest = words
    command = [sys.executable, "-m", "infra.stack", name, "--folder", str(stack.layout.root), *rest]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_all_services_are_healthy(stack: Stack) -> None:
    assert {each.status.name: each.is_healthy for each in stack.health()} == dict.fromkeys(SERVERS, True)


def test_a_second_up_is_refused_and_stops_nothing(stack: Stack) -> None:
    before = [stack.pid(name) for name in SERVERS]
    refused = _command(stack, "up", "--no-workers")
    assert refused.returncode == 1
    assert f"already runs (supervisor: process {stack.pid('supervisor')})" in refused.stderr
    assert [stack.pid(name) for name in SERVERS] == before


def test_the_client_variables_open_mlflow_with_its_artifacts(stack: Stack, tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(
        "import mlflow\n"
        "mlflow.set_experiment('client')\n"
        "with mlflow.start_run():\n"
        "    mlflow.log_metric('loss', 0.5)\n"
        "    mlflow.log_text('through the server', 'note.txt')\n"
        "    print(mlflow.artifacts.load_text(mlflow.get_artifact_uri('note.txt')))\n"
    )
    done = _command(stack, "run", "--", sys.executable, str(script))
    assert done.returncode == 0, done.stderr
    assert "through the server" in done.stdout
    credentials, ports = load_credentials(stack.layout), load_ports(stack.layout)
    stored = s3_client(ports, credentials.s3_mlflow).list_objects_v2(
        Bucket=MLFLOW_BUCKET, Prefix="artifacts/"
    )
    assert [Path(each["Key"]).name for each in stored["Contents"]] == ["note.txt"]


def test_only_unfinished_uploads_and_temporary_objects_expire(stack: Stack) -> None:
    client = admin_client(load_credentials(stack.layout), load_ports(stack.layout))
    for bucket in (DVC_BUCKET, MLFLOW_BUCKET):
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        aborts = [
            rule["AbortIncompleteMultipartUpload"]
            for rule in rules
            if "AbortIncompleteMultipartUpload" in rule
        ]
        assert aborts == [{"DaysAfterInitiation": ABORT_UPLOADS_DAYS}]
        assert [rule["Filter"]["Prefix"] for rule in rules if "Expiration" in rule] == ["tmp/"]


def test_only_their_owner_can_read_files_with_passwords(stack: Stack) -> None:
    secrets = [secret.encode() for secret in _secrets(stack)]
    files = [path for path in stack.layout.root.rglob("*") if path.is_file() and path.stat().st_size < 2**20]
    ours = [path for path in files if stack.layout.postgres not in path.parents]
    secret = [path for path in ours if any(each in path.read_bytes() for each in secrets)]
    assert {path.name for path in secret} == {"env", "secrets", "auth.ini", "s3.json", "security.toml"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert stat.S_IMODE(stack.layout.postgres.stat().st_mode) == 0o700


def test_logs_command_lines_and_status_show_no_password(stack: Stack) -> None:
    logs = [path.read_text(errors="replace") for path in stack.layout.log("any").parent.iterdir()]
    lines = [" ".join(command_line(process)) for process in tagged_processes(stack.layout)]
    status = _command(stack, "status")
    assert status.returncode == 0
    shown = "\n".join([*logs, *lines, status.stdout, status.stderr, stack.layout.status.read_text()])
    assert "postgres: " in shown  # the lines contain titles of PostgreSQL's processes
    assert not [secret for secret in _secrets(stack) if secret in shown]


def test_a_killed_postgresql_is_restarted_and_other_servers_keep_running(stack: Stack) -> None:
    others = {name: stack.pid(name) for name in ("mlflow", "prefect", "s3")}
    killed = stack.pid("postgres")
    stack.kill("postgres")
    for name in SERVERS:
        stack.wait_healthy(name, 60)
    assert stack.pid("postgres") != killed
    assert {name: stack.pid(name) for name in others} == others


def test_servers_killed_at_the_same_time_are_restarted(stack: Stack) -> None:
    killed = {name: stack.pid(name) for name in ("s3", "mlflow", "prefect")}
    for name in killed:
        stack.kill(name)
    for name in killed:
        stack.wait_healthy(name, 90)
    assert not {name for name in killed if stack.pid(name) == killed[name]}
    assert all(each.status.starts == 2 for each in stack.health())


def test_state_survives_a_killed_supervisor_and_a_restart(stack: Stack) -> None:
    """After the supervisor is killed, its servers end soon, and the next `up` finds all data."""
    variables, servers_before = stack.environment(), tagged_processes(stack.layout)
    _write_state(stack)
    os.kill(stack.pid("supervisor"), signal.SIGKILL)
    _, alive = psutil.wait_procs(servers_before, timeout=15)
    assert not alive
    up_with_ignored_signals = (
        f"trap '' INT TERM HUP; {sys.executable} -m infra.stack up --no-workers --folder {stack.layout.root}"
    )
    subprocess.run(["sh", "-c", up_with_ignored_signals], check=True)
    assert not any(_ignores(stack.pid(name), signal.SIGTERM) for name in ("mlflow", "prefect"))
    assert stack.environment() == variables
    assert _read_state(stack) == {"object": b"kept", "experiment": "kept", "variable": "kept"}


def test_down_stops_what_a_killed_supervisor_and_its_parent_left(stack: Stack) -> None:
    supervisor = psutil.Process(stack.pid("supervisor"))
    for process in (supervisor.parent(), supervisor):
        assert process is not None
        process.kill()
    wait_until(lambda: not stack.is_up(), "the end of the supervisor", seconds=10)
    assert tagged_processes(stack.layout)
    stack.down()
    assert not tagged_processes(stack.layout)
    with pytest.raises(StackError, match="does not run"):
        stack.pid("postgres")


def _write_state(stack: Stack) -> None:
    credentials, ports = load_credentials(stack.layout), load_ports(stack.layout)
    s3_client(ports, credentials.s3_dvc).put_object(Bucket=DVC_BUCKET, Key="state", Body=b"kept")
    body = {"name": "kept"}
    login = f"lzn:{credentials.mlflow_user}"
    path = "/api/2.0/mlflow/experiments/create"
    assert request_json(ports.mlflow, path, login=login, method="POST", body=body)[0] == 200
    login, body = f"lzn:{credentials.prefect}", {"name": "state", "value": "kept"}
    assert request_json(ports.prefect, "/api/variables/", login=login, method="POST", body=body)[0] == 201


def _read_state(stack: Stack) -> dict[str, object]:
    credentials, ports = load_credentials(stack.layout), load_ports(stack.layout)
    stored = s3_client(ports, credentials.s3_dvc).get_object(Bucket=DVC_BUCKET, Key="state")["Body"].read()
    path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=kept"
    _, experiment = request_json(ports.mlflow, path, login=f"lzn:{credentials.mlflow_user}")
    _, variable = request_json(ports.prefect, "/api/variables/name/state", login=f"lzn:{credentials.prefect}")
    return {"object": stored, "experiment": experiment["experiment"]["name"], "variable": variable["value"]}


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Return whether a process ignores a signal, as processes started by a shell with `&` or `trap ''` do."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    return bool(mask >> (number - 1) & 1)
