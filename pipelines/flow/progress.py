"""The progress of a stage as an artifact of the running task or flow, from the lines of its output."""

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from pipelines.flow.publishing import SERVER_ERRORS, artifact_key
from pipelines.processes.commands import Log
from pipelines.processes.progress_lines import Progress, is_bar, read_progress

EVERY_SECONDS: Final = 5.0
_LAST_SECONDS: Final = 5.0


@contextmanager
def shown_progress(stage: str, log: Log) -> Iterator[Log]:
    """Yield a function that logs lines and shows the progress in them. Progress bars are shown and not logged.

    Requests are sent by a thread, at most one every 5 s: a slow or missing server does not delay the stage. The
    artifact is created with the first progress.
    """
    artifact = _Artifact(stage)

    def receive(line: str) -> None:
        if progress := read_progress(line):
            artifact.show(progress)
        if not is_bar(line):
            log(line)

    try:
        yield receive
    finally:
        artifact.close()


class _Artifact:
    """The newest progress of a stage, and the thread that sends it."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._id: UUID | None = None
        self._newest: Progress | None = None
        self._sent: Progress | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def show(self, progress: Progress) -> None:
        self._newest = progress
        if self._thread is None:
            context = contextvars.copy_context()  # by which Prefect knows the task and the flow
            self._thread = threading.Thread(target=context.run, args=(self._send_all,), daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)

    def _send_all(self) -> None:
        self._send()
        while not self._closed.wait(EVERY_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        progress = self._newest
        if progress is None or progress == self._sent:
            return
        with contextlib.suppress(*SERVER_ERRORS):  # the next progress is sent again
            if self._id is None:
                key = artifact_key("progress", self._stage)
                created = create_progress_artifact(progress.percent, key, f"{self._stage}: {progress.text}")
                self._id = cast(UUID, created)  # outside of asyncio it is no coroutine
            else:
                update_progress_artifact(self._id, progress.percent, f"{self._stage}: {progress.text}")
            self._sent = progress
