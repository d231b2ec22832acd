"""Read a child's pipe line by line without a thread and without blocking."""

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
    """Hands every whole line of a pipe, without its end, to each of `receivers`; empty lines are dropped."""

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
        """Wait at most `seconds` for output and hand it on; say whether there was any."""
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
        """Hand on what is already in the pipe, and a last line that has no end."""
        while self.read(0.0):
            pass
        last, self._partial = self._partial, ""
        self._emit([last])

    def _lines(self, text: str) -> list[str]:
        *whole, self._partial = _LINE_END.split(self._partial + text)
        return whole

    def _emit(self, lines: Iterable[str]) -> None:
        for line in filter(str.strip, lines):
            for receiver in self._receivers:
                receiver(line)
