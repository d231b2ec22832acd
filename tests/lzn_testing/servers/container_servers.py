"""Start the services of compose.yaml as processes: the same commands and variables, other ports and folders."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from infra.make_env import Passwords
from infra.stack.postgres import find_programs
from lzn_testing.processes.waiting import wait_until
from lzn_testing.servers.infra_files import INFRA, PROJECT, read_yaml
from pipelines.local.prefect_server import free_port

SERVICES: dict[str, dict[str, Any]] = read_yaml(INFRA / "compose.yaml")["services"]


def service_environment(name: str, passwords: Passwords, **addresses: str) -> dict[str, str]:
    """Return a service's variables with passwords; `s3="127.0.0.1:1234"` replaces the address `s3:8333`."""
    values = passwords.compose_variables()
    filled = {}
    for variable, text in SERVICES[name]["environment"].items():
        value = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: values.get(found[1], "0"), text)
        for host, address in addresses.items():
            value = re.sub(rf"(?<=[/@]){host}:\d+", address, value)
        filled[variable] = value
    return filled


def status(url: str) -> int:
    """Return the HTTP status of a request, or 0 if no server responds."""
    try:
        with urlopen(url, timeout=10) as answer:
            code: int = answer.status
            return code
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0


@contextmanager
def running(
    command: Sequence[str],
    *,
    healthy: str | None,
    log: Path,
    seconds: float = 120.0,
    stop_signal: signal.Signals = signal.SIGTERM,
    stop_seconds: float = 20.0,
    **options: Any,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server; the body starts when the URL `healthy` answers 200.

    seconds: time until it is healthy. stop_seconds: time from `stop_signal` until it is killed.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)

        def is_healthy() -> bool:
            assert process.poll() is None, log.read_text()
            return healthy is None or status(healthy) == 200

        try:
            wait_until(is_healthy, f"an answer of {healthy}", seconds=seconds, context=log.read_text)
            yield process
        finally:
            process.send_signal(stop_signal)
            try:
                process.wait(stop_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def postgres(folder: Path, passwords: Passwords) -> Iterator[int]:
    """Run PostgreSQL with the administrator's password. Yield its port."""
    programs, port = find_programs(), free_port()
    folder.mkdir(mode=0o700)
    user: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    password, log = folder / "password", folder.with_suffix(".log")
    password.write_text(passwords.postgres)
    for path in (folder, password) if user else ():
        shutil.chown(path, "postgres", "postgres")
    data = str(folder / "data")
    options = ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "--username=postgres"]
    subprocess.run(
        [programs / "initdb", "-D", data, f"--pwfile={password}", *options],
        check=True, capture_output=True, cwd=folder, **user,
    )  # fmt: skip
    command = [str(programs / "postgres"), "-D", data, "-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
    fast_shutdown = signal.SIGINT  # SIGTERM would wait for clients to disconnect
    with running(command, healthy=None, log=log, stop_signal=fast_shutdown, cwd=folder, **user):
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "60"]
        wait_until(
            lambda: subprocess.run(ready, check=False).returncode == 0,
            "PostgreSQL",
            seconds=60,
            context=log.read_text,
        )
        yield port


@contextmanager
def s3(folder: Path, passwords: Passwords) -> Iterator[int]:
    """Run SeaweedFS with the options of compose.yaml. Yield its port."""
    folder.mkdir()
    (folder / "s3.json").write_text(passwords.s3_json)
    (folder / "data").mkdir()
    port, inner = free_port(), {name: free_port() for name in ("master", "volume", "filer")}
    [command] = SERVICES["s3"]["command"]
    options = command[command.index("-logtostderr") :].split()
    replaced = {"-dir": f"{folder}/data", "-s3.config": f"{folder}/s3.json", "-s3.port": str(port)}
    flags = [
        f"{flag}={replaced[flag]}" if (flag := option.split("=")[0]) in replaced else option
        for option in options
    ]
    grpc = ["s3", *inner]
    flags += [f"-{name}.port={number}" for name, number in inner.items()]
    flags += [f"-{name}.port.grpc={free_port()}" for name in grpc]
    flags += ["-filer.localSocket=f.sock", "-s3.localSocket=s.sock"]
    weed = Path(sys.executable).parent / "weed"
    log = folder.with_suffix(".log")
    healthy = f"http://127.0.0.1:{port}/healthz"
    # After SIGTERM it waits 15 s for its own inner connections; no test needs that.
    with running([str(weed), *flags], healthy=healthy, log=log, stop_seconds=1.0, cwd=folder):
        yield port


def run_here(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a one-shot service of compose.yaml in the project's folder."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=process_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a container's variables, with those that the image sets."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(PROJECT), **environment}
