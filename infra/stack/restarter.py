"""A thread that starts one service, and starts it again whenever it ends."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Final

import psutil

from infra.processes import is_alive, send_signal
from infra.stack import process_tags
from infra.stack.credentials import is_free
from infra.stack.errors import StackError
from infra.stack.layout import Layout, open_private
from infra.stack.service import Service, tail
from infra.stack.status_file import StatusFile

_POLL_SECONDS: Final = 0.2
_STOP_POLL_SECONDS: Final = 0.05
_FIRST_DELAY_SECONDS: Final = 0.5
_LONGEST_DELAY_SECONDS: Final = 30.0
_LEFTOVER_SECONDS: Final = 5.0
_PORT_SECONDS: Final = 3.0


class Restarter(threading.Thread):
    """Start a service when those it needs are ready, and again after each end, with increasing delays."""

    def __init__(
        self, service: Service, *, layout: Layout, statuses: StatusFile, needs: Sequence["Restarter"]
    ) -> None:
        super().__init__(name=service.name, daemon=True)
        self.service = service
        self.ready = threading.Event()
        self._layout, self._statuses, self._needs = layout, statuses, tuple(needs)
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run the service until `stop` is called, or until a one-shot step has succeeded."""
        while self._wait_for_needs():
            try:
                self._run_once()
            except (StackError, OSError, psutil.Error) as error:
                self._set_failed(str(error))
            if self.service.one_shot and self.ready.is_set():
                return
            self.ready.clear()
            self._stopping.wait(self._delay())

    def stop(self) -> None:
        """Stop all processes of the service, and wait until they have ended."""
        with self._starting:
            self._stopping.set()
        if self._process is not None:
            self._stop_process(self._process)
        self.join()
        process_tags.kill(self._layout, self.service.name)
        self._statuses.update(self.service.name, state="stopped", pid=None)

    def _wait_for_needs(self) -> bool:
        while not self._stopping.is_set():
            if all(need.ready.is_set() for need in self._needs):
                return True
            self._stopping.wait(_POLL_SECONDS)
        return False

    def _run_once(self) -> None:
        service = self.service
        process_tags.terminate(
            self._layout,
            service.name,
            grace=service.stop_seconds if service.stops_children_first else _LEFTOVER_SECONDS,
        )
        check_ports(service, self._layout)
        service.prepare()
        begin = time.monotonic()
        process = self._start()
        if process is None:
            return
        if not service.one_shot and self._wait_until_ready(process, begin + service.start_seconds):
            self._set_ready(begin)
        code = process.wait()
        if self._stopping.is_set():
            return
        if service.one_shot and code == 0:
            self._set_ready(begin)
        elif not self._statuses[service.name].message:
            self._set_failed(f"{service.name} ended ({_describe_exit(code)}); {self._end_of_log()}")

    def _start(self) -> "subprocess.Popen[bytes] | None":
        service, name = self.service, self.service.name
        with self._starting, open_private(self._layout.log(name)) as log:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                service.command,
                env={**service.environment, process_tags.TAG_VARIABLE: process_tags.tag(self._layout, name)},
                cwd=service.cwd,
                user=service.user,
                group=service.user,
                extra_groups=None if service.user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        starts = self._statuses[name].starts + 1
        self._statuses.update(
            name, state="starting", pid=self._process.pid, starts=starts, seconds=None, message=""
        )
        return self._process

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
        while process.poll() is None and not self._stopping.is_set():
            if self.service.is_ready():
                return process.poll() is None
            if time.monotonic() > deadline:
                self._set_failed(f"{self.service.name} did not become ready in time; {self._end_of_log()}")
                self._stop_process(process)
            self._stopping.wait(_POLL_SECONDS)
        return False

    def _set_ready(self, begin: float) -> None:
        seconds = round(time.monotonic() - begin, 1)
        self._statuses.update(self.service.name, state="ready", seconds=seconds, failures=0)
        logging.info("%s is ready after %.1f s", self.service.name, seconds)
        self.ready.set()

    def _set_failed(self, message: str) -> None:
        failures = self._statuses[self.service.name].failures + 1
        self._statuses.update(self.service.name, state="failed", pid=None, failures=failures, message=message)
        logging.warning("%s", message)

    def _end_of_log(self) -> str:
        log = self._layout.log(self.service.name)
        return f"the end of {log}:\n{tail(log)}"

    def _delay(self) -> float:
        failures = self._statuses[self.service.name].failures
        return min(_FIRST_DELAY_SECONDS * 2.0 ** max(0, failures - 1), _LONGEST_DELAY_SECONDS)

    def _stop_process(self, process: "subprocess.Popen[bytes]") -> None:
        """Stop the service. A worker's flow runs end before it, so that it can report runs that crashed."""
        deadline = time.monotonic() + self.service.stop_seconds
        first = _running(process)
        if first is not None and self.service.stops_children_first:
            _signal_and_wait(first.children(), signal.SIGTERM, deadline)
        if first is not None:
            _signal_and_wait([first], self.service.stop_signal, deadline)
        process_tags.terminate(self._layout, self.service.name, grace=max(0.0, deadline - time.monotonic()))


def check_ports(service: Service, layout: Layout) -> None:
    """Raise StackError if another program listens on a port of the service for more than a few seconds."""
    deadline = time.monotonic() + _PORT_SECONDS
    while taken := [port for port in service.ports if not is_free(port)]:
        if time.monotonic() > deadline:
            raise StackError(
                f"port {taken[0]} of {service.name} is taken by another program: stop that program, or remove "
                f"{layout.ports} while the stack is down to get new ports"
            )
        time.sleep(_POLL_SECONDS)


def _running(process: "subprocess.Popen[bytes]") -> psutil.Process | None:
    if process.poll() is not None:
        return None
    try:
        return psutil.Process(process.pid)
    except psutil.NoSuchProcess:
        return None


def _signal_and_wait(processes: Sequence[psutil.Process], number: signal.Signals, deadline: float) -> None:
    """Send a signal and wait. `psutil.wait_procs` would take the exit code that `Popen` needs."""
    for process in processes:
        send_signal(process, number)
    while any(is_alive(process.pid) for process in processes) and time.monotonic() < deadline:
        time.sleep(_STOP_POLL_SECONDS)


def _describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
