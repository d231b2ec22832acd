"""A real web server with one file, which can be told to misbehave."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FileServer(ThreadingHTTPServer):
    """Serves its content under every path, from the byte that is asked for on, and notes what was asked for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.knows_ranges = True
        self.stop_after: int | None = None
        self.asked: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}/folder/file.pt"


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if urlsplit(self.path).path.endswith("/missing"):
            self.send_error(404)
            return
        content, start = self.server.content, 0
        if asked is not None and self.server.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.stop_after])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests quiet."""


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """A server of ``content`` on a free port, for as long as the block lasts."""
    with FileServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
