"""A stack as those who start, use and test it see it."""

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

from infra.stack import marks
from infra.stack.board import ServiceStatus, read_board
from infra.stack.catalogue import catalogue
from infra.stack.credentials import HOST, kept_credentials, kept_ports
from infra.stack.environment import MLFLOW_USER, client_environment, read_env_file, write_env_file
from infra.stack.errors import StackError
from infra.stack.keeper import check_ports
from infra.stack.layout import DEFAULT_FOLDER, PROJECT, Layout, open_private
from infra.stack.lock import ALREADY_RUNS, lock
from infra.stack.s3 import remove_sockets
from infra.stack.service import Service, tail

Report = Callable[[str], None]

_POLL_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 5.0
_DOWN_SECONDS: Final = 90.0
_GIVE_UP_AFTER: Final = 3  # starts in a row that failed
_NEEDED_BYTES: Final = 500 * 10**6


@dataclass(frozen=True)
class Health:
    """status: what the supervisor knows of a service; answers: whether it serves at this moment."""

    status: ServiceStatus
    answers: bool


class Stack:
    """The servers and workers whose state is in `folder`; whether they run or not."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self.layout = Layout(folder.resolve())

    def up(self, *, workers: int = 1, gpus: int | None = None, report: Report = print) -> None:
        """Start all of it in the background, and return when every service is ready.

        workers: CPU stages at a time on this machine, 0 for the servers alone. gpus: of the whole cluster, by default
        LZN_GPUS or 0. Raises StackError, with nothing left running, if it already runs, if a program is missing, or
        if a service does not come up.
        """
        begin = time.monotonic()
        gpus = int(os.environ.get("LZN_GPUS", "0")) if gpus is None else gpus
        self._make_folder()
        self._end_leftovers(report)
        services = self._prepare(workers=workers, gpus=gpus)
        supervisor = self._start_supervisor(workers=workers, gpus=gpus)
        try:
            self._follow(supervisor, services, report)
        except BaseException:
            if supervisor.poll() != ALREADY_RUNS:
                self.down(report=lambda line: None)
            raise
        report(f"All {len(services)} services are ready after {time.monotonic() - begin:.1f} s.")

    def down(self, *, report: Report = print) -> None:
        """End all of it, workers first, and return when nothing is left; their state stays in the folder."""
        begin = time.monotonic()
        if self.layout.root.exists():
            self._stop_supervisor()
        marks.end(self.layout, grace=_GRACE_SECONDS)
        if left := marks.processes(self.layout):
            raise StackError(f"these processes do not end: {', '.join(str(process.pid) for process in left)}")
        if self._is_ours():
            remove_sockets(kept_ports(self.layout))
        self.layout.supervisor_pid.unlink(missing_ok=True)
        self.layout.status.unlink(missing_ok=True)
        report(f"Everything in {self.layout.root} has ended after {time.monotonic() - begin:.1f} s.")

    def destroy(self, *, report: Report = print) -> None:
        """End all of it and remove the folder with every run, object and password; StackError if it is no stack's."""
        if not self._is_ours():
            raise StackError(f"{self.layout.root} is no folder of a stack; nothing was removed")
        self.down(report=report)
        shutil.rmtree(self.layout.root)
        report(f"Removed {self.layout.root}.")

    def environment(self) -> dict[str, str]:
        """The variables of the env file; StackError if there is none."""
        return read_env_file(self.layout)

    def is_up(self) -> bool:
        """Whether a supervisor runs."""
        if not self.layout.lock.exists():
            return False
        held = lock(self.layout)
        if held is not None:
            held.close()
        return held is None

    def pid(self, service: str) -> int:
        """Of the first process of a service, or of `supervisor`; StackError if it does not run."""
        if service == "supervisor":
            return self._supervisor_pid()
        status = read_board(self.layout).get(service)
        if status is None or status.pid is None or not marks.is_alive(status.pid):
            raise StackError(f"{service} does not run in {self.layout.root}")
        return status.pid

    def kill(self, service: str) -> None:
        """SIGKILL to all processes of one service, as when a machine loses power; the supervisor restarts it."""
        marks.kill(self.layout, service)

    def wait_healthy(self, service: str, timeout: float = 60.0) -> float:
        """Wait until a service that runs or is being restarted serves; the seconds it took.

        Raises StackError, with what went wrong last, if it takes longer than `timeout` seconds.
        """
        begin = time.monotonic()
        while time.monotonic() < begin + timeout:
            if self._is_healthy(service):
                return time.monotonic() - begin
            time.sleep(_POLL_SECONDS)
        status = read_board(self.layout).get(service)
        raise StackError(f"{service} is not healthy after {timeout:g} s. {status.message if status else ''}")

    def health(self) -> tuple[Health, ...]:
        """Every service, asked now; empty if the stack is down."""
        if not self.is_up():
            return ()
        board, services = read_board(self.layout), self._services()
        return tuple(Health(status, self._is_healthy(name, services)) for name, status in board.items())

    def addresses(self) -> str:
        """Where a person finds the servers, and the passwords; no password itself."""
        ports = kept_ports(self.layout)
        return "\n".join(
            [
                f"Prefect     http://{HOST}:{ports.prefect}   asks for PREFECT_API_AUTH_STRING",
                f"MLflow      http://{HOST}:{ports.mlflow}   user {MLFLOW_USER}, asks for MLFLOW_TRACKING_PASSWORD",
                f"S3          http://{HOST}:{ports.s3}",
                f"PostgreSQL  {HOST}:{ports.postgres}",
                f"Variables and passwords for clients: . {self.layout.env}",
                f"Logs: {self.layout.log('SERVICE')}",
            ]
        )

    def _services(self) -> dict[str, Service]:
        names = read_board(self.layout)
        workers = sum(name.startswith("worker-cpu-") for name in names)
        services = catalogue(self.layout, workers=workers, gpus=int(self.environment()["LZN_GPUS"]))
        return {service.name: service for service in services if service.name in names}

    def _is_healthy(self, name: str, services: dict[str, Service] | None = None) -> bool:
        status = read_board(self.layout).get(name)
        if status is None or status.state != "ready":
            return False
        service = (services or self._services())[name]
        alive = service.once or (status.pid is not None and marks.is_alive(status.pid))
        return alive and service.answers()

    def _is_ours(self) -> bool:
        return self.layout.ports.exists() and self.layout.secrets.exists()

    def _make_folder(self) -> None:
        root = self.layout.root
        if root.exists() and any(root.iterdir()) and not self._is_ours():
            raise StackError(f"{root} holds something else; name an empty folder with --folder")
        try:
            self.layout.make()
        except OSError as error:
            raise StackError(f"{root} cannot be made: {error.strerror}") from None
        if self.is_up():
            raise StackError(
                f"the stack in {root} already runs (supervisor: process {self._supervisor_pid()}); end it with `down`"
            )
        if (free := shutil.disk_usage(root).free) < _NEEDED_BYTES:
            raise StackError(
                f"{root} has {free / 1e6:.0f} MB left on its disk; the servers need {_NEEDED_BYTES / 1e6:.0f}"
            )

    def _end_leftovers(self, report: Report) -> None:
        left = marks.processes(self.layout)
        if left:
            report(f"Ending {len(left)} processes that a killed stack left.")
            marks.end(self.layout, grace=_GRACE_SECONDS)
        self.layout.status.unlink(missing_ok=True)

    def _prepare(self, *, workers: int, gpus: int) -> list[Service]:
        """Passwords, ports and the env file; made here, so that what is wrong is said at once."""
        credentials, ports = kept_credentials(self.layout), kept_ports(self.layout)
        write_env_file(self.layout, client_environment(self.layout, credentials, ports, gpus=gpus))
        services = catalogue(self.layout, workers=workers, gpus=gpus)
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

    def _follow(
        self, supervisor: "subprocess.Popen[bytes]", services: Sequence[Service], report: Report
    ) -> None:
        """One line for each service as it becomes ready; StackError when one fails again and again."""
        waiting = [service.name for service in services]
        while waiting:
            if supervisor.poll() == ALREADY_RUNS:
                raise StackError(f"the stack in {self.layout.root} has just been started by another `up`")
            if supervisor.poll() is not None:
                raise StackError(f"the supervisor ended:\n{tail(self.layout.log('supervisor'))}")
            board = read_board(self.layout)
            for status in [board[name] for name in waiting if name in board]:
                if status.failures >= _GIVE_UP_AFTER:
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
        told = False
        while self.is_up() and time.monotonic() < deadline:
            if not told:
                told = self._tell_supervisor(signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
        if self.is_up():
            self._tell_supervisor(signal.SIGKILL)

    def _tell_supervisor(self, number: signal.Signals) -> bool:
        try:
            os.kill(self._supervisor_pid(), number)
        except (StackError, ProcessLookupError):
            return False  # it starts or ends just now
        return True
