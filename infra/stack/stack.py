"""Start, stop and inspect a stack."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.make_env import MLFLOW_USER
from infra.processes import is_alive
from infra.stack import process_tags
from infra.stack.credentials import HOST, load_credentials, load_ports
from infra.stack.environment import client_environment, read_env_file, write_env_file
from infra.stack.errors import StackError
from infra.stack.layout import DEFAULT_FOLDER, PROJECT, Layout, open_private
from infra.stack.lock import ALREADY_RUNS, acquire_lock
from infra.stack.restarter import check_ports
from infra.stack.s3 import remove_sockets
from infra.stack.service import Service, tail
from infra.stack.services import stack_services
from infra.stack.status_file import ServiceStatus, read_statuses
from pipelines.cluster.worker.settings import DEFAULT_BRANCH

Report = Callable[[str], None]

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 5.0
_DOWN_SECONDS: Final = 90.0
_MAX_FAILURES: Final = 3  # consecutive failed starts of a service
_NEEDED_BYTES: Final = 500 * 10**6


@dataclass(frozen=True)
class Health:
    """The supervisor's status of a service, and whether the service passes its health check now."""

    status: ServiceStatus
    is_healthy: bool


class Stack:
    """The servers and workers with their state in `folder`, running or not."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self.layout = Layout(folder.resolve())

    def up(
        self,
        *,
        workers: int = 1,
        gpus: int | None = None,
        repository: str | None = None,
        branches: str | None = None,
        report: Report = print,
    ) -> None:
        """Start all services in the background, and return when each is ready.

        workers: number of CPU stages at a time on this machine, 0 for no workers. gpus: number of the cluster's GPUs,
        LZN_GPUS or 0 by default. repository: git URL or folder whose commits are run, this project by default.
        branches: names, with spaces, of those whose commits workers run, LZN_BRANCHES or main by default.
        Raises StackError, and leaves nothing running, if the stack already runs, a program is missing, or a service
        does not start.
        """
        begin = time.monotonic()
        gpus = int(os.environ.get("LZN_GPUS", "0")) if gpus is None else gpus
        self._make_folder()
        self._stop_leftovers(report)
        branches = branches or os.environ.get("LZN_BRANCHES") or DEFAULT_BRANCH
        services = self._prepare(
            workers=workers, gpus=gpus, repository=repository or str(PROJECT), branches=branches
        )
        supervisor = self._start_supervisor(workers=workers, gpus=gpus)
        try:
            self._wait_until_ready(supervisor, services, report)
        except BaseException:
            if supervisor.poll() != ALREADY_RUNS:
                self.down(report=lambda line: None)
            raise
        report(f"All {len(services)} services are ready after {time.monotonic() - begin:.1f} s.")

    def down(self, *, report: Report = print) -> None:
        """Stop all, workers first, and return when no process is left. The state stays in the folder."""
        begin = time.monotonic()
        if self.layout.root.exists():
            self._stop_supervisor()
        process_tags.terminate(self.layout, grace=_GRACE_SECONDS)
        if left := process_tags.tagged_processes(self.layout):
            raise StackError(f"these processes do not end: {', '.join(str(process.pid) for process in left)}")
        if self._has_files_of_stack():
            remove_sockets(load_ports(self.layout))
        self.layout.supervisor_pid.unlink(missing_ok=True)
        self.layout.status.unlink(missing_ok=True)
        report(
            f"All processes of {_shown(self.layout.root)} have ended after {time.monotonic() - begin:.1f} s."
        )

    def destroy(self, *, report: Report = print) -> None:
        """Stop all and remove the folder with its contents. Raises StackError if it is not a stack's folder."""
        if not self._has_files_of_stack():
            raise StackError(f"{self.layout.root} is not the folder of a stack; nothing was removed")
        self.down(report=report)
        shutil.rmtree(self.layout.root)
        report(f"Removed {_shown(self.layout.root)}.")

    def environment(self) -> dict[str, str]:
        """Return the clients' variables. Raises StackError if the stack was never started."""
        return read_env_file(self.layout)

    def is_up(self) -> bool:
        """Return whether a supervisor runs."""
        if not self.layout.lock.exists():
            return False
        lock = acquire_lock(self.layout)
        if lock is not None:
            lock.close()
        return lock is None

    def pid(self, service: str) -> int:
        """Return the id of the first process of a service, or of `supervisor`. Raises StackError if it does not run."""
        if service == "supervisor":
            return self._supervisor_pid()
        status = read_statuses(self.layout).get(service)
        if status is None or status.pid is None or not is_alive(status.pid):
            raise StackError(f"{service} does not run in {self.layout.root}")
        return status.pid

    def kill(self, service: str, *, children: bool = False) -> None:
        """Kill the first process of a service, or all of them with `children`; return when they have ended.

        The supervisor then restarts the service; `wait_healthy` waits for it.
        """
        pid = self.pid(service)
        if children:
            process_tags.kill(self.layout, service)
            return
        os.kill(pid, signal.SIGKILL)
        while is_alive(pid):
            time.sleep(_POLL_SECONDS / 10)

    def wait_healthy(self, service: str, timeout: float = 60.0) -> float:
        """Wait until a service is healthy. Return the seconds waited.

        Raises StackError, with the service's last error, after `timeout` seconds.
        """
        begin = time.monotonic()
        while time.monotonic() < begin + timeout:
            if self._is_healthy(service):
                return time.monotonic() - begin
            time.sleep(_POLL_SECONDS)
        status = read_statuses(self.layout).get(service)
        raise StackError(f"{service} is not healthy after {timeout:g} s. {status.message if status else ''}")

    def health(self) -> tuple[Health, ...]:
        """Check every service now. Return an empty tuple if the stack is down."""
        if not self.is_up():
            return ()
        statuses, services = read_statuses(self.layout), self._services()
        return tuple(Health(status, self._is_healthy(name, services)) for name, status in statuses.items())

    def addresses(self) -> str:
        """Return the addresses of the servers and the file of the passwords, as text for the user."""
        ports = load_ports(self.layout)
        return "\n".join(
            [
                f"Prefect     http://{HOST}:{ports.prefect}   asks for PREFECT_API_AUTH_STRING",
                f"MLflow      http://{HOST}:{ports.mlflow}   user {MLFLOW_USER}, asks for MLFLOW_TRACKING_PASSWORD",
                f"S3          http://{HOST}:{ports.s3}",
                f"PostgreSQL  {HOST}:{ports.postgres}",
                f"Variables and passwords for clients: . {_shown(self.layout.env)}",
                f"Logs: {_shown(self.layout.log('SERVICE'))}",
            ]
        )

    def _services(self) -> dict[str, Service]:
        names = read_statuses(self.layout)
        workers = sum(name.startswith("worker-cpu-") for name in names)
        services = stack_services(self.layout, workers=workers, gpus=int(self.environment()["LZN_GPUS"]))
        return {service.name: service for service in services if service.name in names}

    def _is_healthy(self, name: str, services: dict[str, Service] | None = None) -> bool:
        status = read_statuses(self.layout).get(name)
        if status is None or status.state != "ready":
            return False
        service = (services or self._services())[name]
        runs = service.one_shot or (status.pid is not None and is_alive(status.pid))
        return runs and service.is_healthy()

    def _has_files_of_stack(self) -> bool:
        return self.layout.ports.exists() and self.layout.secrets.exists()

    def _make_folder(self) -> None:
        root = self.layout.root
        if root.exists() and any(root.iterdir()) and not self._has_files_of_stack():
            raise StackError(f"{root} contains other files: choose an empty folder with --folder")
        try:
            self.layout.make()
        except OSError as error:
            raise StackError(f"cannot create {root}: {error.strerror}") from None
        if self.is_up():
            raise StackError(
                f"the stack in {root} already runs (supervisor: process {self._supervisor_pid()}): stop it with `down`"
            )
        if (free := shutil.disk_usage(root).free) < _NEEDED_BYTES:
            raise StackError(
                f"the disk of {root} has {free / 1e6:.0f} MB free, but the servers need {_NEEDED_BYTES / 1e6:.0f} MB"
            )

    def _stop_leftovers(self, report: Report) -> None:
        left = process_tags.tagged_processes(self.layout)
        if left:
            report(f"Stopping {len(left)} processes of a stack that was killed.")
            process_tags.terminate(self.layout, grace=_GRACE_SECONDS)
        self.layout.status.unlink(missing_ok=True)

    def _prepare(self, *, workers: int, gpus: int, repository: str, branches: str) -> list[Service]:
        """Make passwords, ports and the env file, so that errors are reported before anything starts."""
        credentials, ports = load_credentials(self.layout), load_ports(self.layout)
        variables = client_environment(
            self.layout, credentials, ports, gpus=gpus, repository=repository, branches=branches
        )
        write_env_file(self.layout, variables)
        services = stack_services(self.layout, workers=workers, gpus=gpus)
        for service in services:
            check_ports(service, self.layout)
        return services

    def _start_supervisor(self, *, workers: int, gpus: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "infra.stack.supervisor", str(self.layout.root)]
        with open_private(self.layout.log("supervisor")) as log:
            return subprocess.Popen(
                [*command, "--workers", str(workers), "--gpus", str(gpus)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_ready(
        self, supervisor: "subprocess.Popen[bytes]", services: Sequence[Service], report: Report
    ) -> None:
        """Report each service as it becomes ready. Raises StackError if one fails `_MAX_FAILURES` times in a row."""
        waiting = [service.name for service in services]
        while waiting:
            if supervisor.poll() == ALREADY_RUNS:
                raise StackError(f"the stack in {self.layout.root} is being started by another `up`")
            if supervisor.poll() is not None:
                raise StackError(f"the supervisor ended:\n{tail(self.layout.log('supervisor'))}")
            statuses = read_statuses(self.layout)
            for status in [statuses[name] for name in waiting if name in statuses]:
                if status.failures >= _MAX_FAILURES:
                    raise StackError(status.message)
                if status.state == "ready":
                    waiting.remove(status.name)
                    report(f"  {status.name:<15} ready in {status.seconds:5.1f} s")
            time.sleep(_POLL_SECONDS)

    def _supervisor_pid(self) -> int:
        try:
            return int(self.layout.supervisor_pid.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            raise StackError(f"no supervisor runs in {self.layout.root}") from None

    def _stop_supervisor(self) -> None:
        deadline = time.monotonic() + _DOWN_SECONDS
        signalled = False
        while self.is_up() and time.monotonic() < deadline:
            if not signalled:
                signalled = self._signal_supervisor(signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
        if self.is_up():
            self._signal_supervisor(signal.SIGKILL)

    def _signal_supervisor(self, number: signal.Signals) -> bool:
        try:
            os.kill(self._supervisor_pid(), number)
        except (StackError, ProcessLookupError):
            return False  # it is starting or ending
        return True


def _shown(path: Path) -> Path:
    """Return a path relative to the current folder if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
