"""Read the pipe of a child process line by line, without a thread and without blocking."""

import codecs
import os
import re
import selectors
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import IO, Self

_LINE_END = re.compile(r"\r\n|\n|\r")  # progress bars end their lines with \r
_CHUNK_BYTES = 65536


class LineReader:
    """Pass each complete line of a pipe to all `receivers`, without its line end. Empty lines are dropped.

    Raises:
        ValueError: there is no pipe.
    """

    def __init__(self, pipe: IO[bytes] | None, receivers: Sequence[Callable[[str], None]]) -> None:
        if pipe is None:
            raise ValueError("no pipe to read: start the process with stdout=subprocess.PIPE")
        self._pipe = pipe
        self._receivers = receivers
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._partial = ""
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()

    def read(self, seconds: float) -> bool:
        """Wait at most `seconds` for output and pass it on. Return whether there was any."""
        if not self._open:
            time.sleep(seconds)
            return False
        if not self._selector.select(seconds):
            return False
        chunk = os.read(self._pipe.fileno(), _CHUNK_BYTES)
        self._open = bool(chunk)
        self._emit(self._lines(self._decoder.decode(chunk, final=not chunk)))
        return self._open

    def drain(self) -> None:
        """Pass on what is already in the pipe, and a last line without a line end."""
        while self.read(0.0):
            pass
        last, self._partial = self._partial, ""
        self._emit([last])

    def _lines(self, text: str) -> list[str]:
        *complete, self._partial = _LINE_END.split(self._partial + text)
        return complete

    def _emit(self, lines: Iterable[str]) -> None:
        for line in filter(str.strip, lines):
            for receiver in self._receivers:
                receiver(line)
