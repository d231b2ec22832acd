"""A real web server with the interface of the Hugging Face hub and the files of one revision of one model."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lzn_testing.servers.file_server import serving_in_thread


class ModelHub(ThreadingHTTPServer):
    """Serve ``/<repository>/resolve/<revision>/<file>``, and record the requests."""

    def __init__(self, repository: str, revision: str, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.prefix = f"/{repository}/resolve/{revision}/"
        self.revision, self.files = revision, files
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: ModelHub

    def do_HEAD(self) -> None:
        self._send_headers()

    def do_GET(self) -> None:
        content = self._send_headers()
        if content is not None:
            self.wfile.write(content)

    def _send_headers(self) -> bytes | None:
        self.server.asked.append(f"{self.command} {self.path}")
        content = self.server.files.get(self.path.removeprefix(self.server.prefix))
        if content is None:
            self.send_error(404)
            return None
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", self.server.revision)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        return content

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serving_model(repository: str, revision: str, files: Mapping[str, bytes]) -> Iterator[ModelHub]:
    """Run the server on a free port."""
    with ModelHub(repository, revision, files) as server, serving_in_thread(server):
        yield server
