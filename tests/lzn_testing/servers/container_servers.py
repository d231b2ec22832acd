"""What compose.yaml starts, started as plain processes: the same commands and variables, other ports and folders."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from infra.make_env import Passwords
from infra.stack.postgres import find_programs
from lzn_testing.servers.infra_files import INFRA, PROJECT, read_yaml

SERVICES: dict[str, dict[str, Any]] = read_yaml(INFRA / "compose.yaml")["services"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def service_environment(name: str, passwords: Passwords, **addresses: str) -> dict[str, str]:
    """A service's variables with the passwords filled in; addresses: `s3="127.0.0.1:1234"` in place of `s3:8333`."""
    values = passwords.compose_variables()
    filled = {}
    for variable, text in SERVICES[name]["environment"].items():
        value = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: values.get(found[1], "0"), text)
        for host, address in addresses.items():
            value = re.sub(rf"(?<=[/@]){host}:\d+", address, value)
        filled[variable] = value
    return filled


def status(url: str) -> int:
    """The status of an answer; 0 where nobody answers."""
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
    command: Sequence[str], *, healthy: str | None, log: Path, seconds: float = 120.0, **options: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server while the body runs, from when `healthy` answers 200 on."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            deadline = time.monotonic() + seconds
            while healthy is not None and status(healthy) != 200:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def postgres(folder: Path, passwords: Passwords) -> Iterator[int]:
    """PostgreSQL with the administrator's password; its port."""
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
    with running(command, healthy=None, log=log, cwd=folder, **user):
        ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "60"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode != 0:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield port


@contextmanager
def s3(folder: Path, passwords: Passwords) -> Iterator[int]:
    """SeaweedFS with the very options of compose.yaml; its port."""
    folder.mkdir()
    (folder / "s3.json").write_text(passwords.s3_json)
    (folder / "data").mkdir()
    port, inner = free_port(), {name: free_port() for name in ("master", "volume", "filer")}
    [command] = SERVICES["s3"]["command"]
    options = command[command.index("-logtostderr") :].split()
    moved = {"-dir": f"{folder}/data", "-s3.config": f"{folder}/s3.json", "-s3.port": str(port)}
    flags = [
        f"{flag}={moved[flag]}" if (flag := option.split("=")[0]) in moved else option for option in options
    ]
    grpc = ["s3", *inner]
    flags += [f"-{name}.port={number}" for name, number in inner.items()]
    flags += [f"-{name}.port.grpc={free_port()}" for name in grpc]
    flags += ["-filer.localSocket=f.sock", "-s3.localSocket=s.sock"]
    weed = Path(sys.executable).parent / "weed"
    log = folder.with_suffix(".log")
    with running([str(weed), *flags], healthy=f"http://127.0.0.1:{port}/healthz", log=log, cwd=folder):
        yield port


def run_here(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """A one-shot service of compose.yaml, in the project's folder."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=process_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )


def process_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """A container's variables, and what the image has."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(PROJECT), **environment}
