"""A real web server with one file, which can be configured to fail."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FileServer(ThreadingHTTPServer):
    """Serve one content under every path, from the requested byte on, and record the requested ranges.

    knows_ranges: False ignores ranges. stop_after: byte after which the content is cut off.
    """

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
        """Log nothing."""


@contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """Run a server of ``content`` on a free port."""
    with FileServer(content) as server, serving_in_thread(server):
        yield server


@contextmanager
def serving_in_thread(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer requests in a thread while the block runs."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    thread.join()
