"""A thread that keeps one service running."""

import logging
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Final

import psutil

from infra.stack import marks
from infra.stack.board import Board
from infra.stack.credentials import is_free
from infra.stack.errors import StackError
from infra.stack.layout import Layout, open_private
from infra.stack.service import Service, tail

_POLL_SECONDS: Final = 0.2
_END_POLL_SECONDS: Final = 0.05
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_LEFTOVER_SECONDS: Final = 5.0
_PORT_SECONDS: Final = 3.0


class Keeper(threading.Thread):
    """Starts a service when those it needs are ready, and again, with growing pauses, whenever it has ended."""

    def __init__(self, service: Service, *, layout: Layout, board: Board, needs: Sequence["Keeper"]) -> None:
        super().__init__(name=service.name, daemon=True)
        self.service = service
        self.ready = threading.Event()
        self._layout, self._board, self._needs = layout, board, tuple(needs)
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Until `stop` is called, or a step is done."""
        while self._wait_for_needs():
            try:
                self._keep()
            except (StackError, OSError, psutil.Error) as error:
                self._failed(str(error))
            if self.service.once and self.ready.is_set():
                return
            self.ready.clear()
            self._stopping.wait(self._pause())

    def stop(self) -> None:
        """End the service with all of its processes, and wait for that."""
        with self._starting:
            self._stopping.set()
        if self._process is not None:
            self._end(self._process)
        self.join()
        marks.kill(self._layout, self.service.name)
        self._board.post(self.service.name, state="stopped", pid=None)

    def _wait_for_needs(self) -> bool:
        while not self._stopping.is_set():
            if all(need.ready.is_set() for need in self._needs):
                return True
            self._stopping.wait(_POLL_SECONDS)
        return False

    def _keep(self) -> None:
        service = self.service
        marks.end(
            self._layout,
            service.name,
            grace=service.stop_seconds if service.children_save else _LEFTOVER_SECONDS,
        )
        check_ports(service, self._layout)
        service.prepare()
        begin = time.monotonic()
        process = self._start()
        if process is None:
            return
        if not service.once and self._becomes_ready(process, begin + service.start_seconds):
            self._is_ready(begin)
        code = process.wait()
        if self._stopping.is_set():
            return
        if service.once and code == 0:
            self._is_ready(begin)
        elif not self._board[service.name].message:
            self._failed(f"{service.name} ended ({_ending(code)}); {self._words()}")

    def _start(self) -> "subprocess.Popen[bytes] | None":
        service, name = self.service, self.service.name
        with self._starting, open_private(self._layout.log(name)) as log:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                service.command,
                env={**service.environment, marks.MARK: marks.mark(self._layout, name)},
                cwd=service.cwd,
                user=service.user,
                group=service.user,
                extra_groups=None if service.user is None else [],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        starts = self._board[name].starts + 1
        self._board.post(
            name, state="starting", pid=self._process.pid, starts=starts, seconds=None, message=""
        )
        return self._process

    def _becomes_ready(self, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
        while process.poll() is None and not self._stopping.is_set():
            if self.service.ready():
                return process.poll() is None
            if time.monotonic() > deadline:
                self._failed(f"{self.service.name} did not become ready in time; {self._words()}")
                self._end(process)
            self._stopping.wait(_POLL_SECONDS)
        return False

    def _is_ready(self, begin: float) -> None:
        seconds = round(time.monotonic() - begin, 1)
        self._board.post(self.service.name, state="ready", seconds=seconds, failures=0)
        logging.info("%s is ready after %.1f s", self.service.name, seconds)
        self.ready.set()

    def _failed(self, message: str) -> None:
        failures = self._board[self.service.name].failures + 1
        self._board.post(self.service.name, state="failed", pid=None, failures=failures, message=message)
        logging.warning("%s", message)

    def _words(self) -> str:
        log = self._layout.log(self.service.name)
        return f"the end of {log}:\n{tail(log)}"

    def _pause(self) -> float:
        return min(_FIRST_PAUSE * 2.0 ** max(0, self._board[self.service.name].failures - 1), _LONGEST_PAUSE)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """The first process is asked to end, a worker's flow runs with it; when they have, what they left is."""
        deadline = time.monotonic() + self.service.stop_seconds
        heads = _heads(process, with_children=self.service.children_save)
        for number, head in enumerate(heads):
            marks.send(head, self.service.stop_signal if number == 0 else marks.TERMINATE)
        while any(marks.is_alive(head.pid) for head in heads) and time.monotonic() < deadline:
            time.sleep(_END_POLL_SECONDS)
        marks.end(self._layout, self.service.name, grace=max(0.0, deadline - time.monotonic()))


def check_ports(service: Service, layout: Layout) -> None:
    """StackError if another program listens on a port of the service, after a moment to let go of it."""
    deadline = time.monotonic() + _PORT_SECONDS
    while taken := [port for port in service.ports if not is_free(port)]:
        if time.monotonic() > deadline:
            raise StackError(
                f"port {taken[0]} of {service.name} is taken by another program: end that, or remove "
                f"{layout.ports} while the stack is down, and others are chosen"
            )
        time.sleep(_POLL_SECONDS)


def _heads(process: "subprocess.Popen[bytes]", *, with_children: bool) -> list[psutil.Process]:
    if process.poll() is not None:
        return []
    try:
        head = psutil.Process(process.pid)
        return [head, *(head.children() if with_children else [])]
    except psutil.NoSuchProcess:
        return []


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
