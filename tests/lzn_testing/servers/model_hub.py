"""A real web server that answers like the Hugging Face hub, with the files of one revision of one model."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ModelHub(ThreadingHTTPServer):
    """Serves ``/<repository>/resolve/<revision>/<file>``, and notes what was asked for."""

    def __init__(self, repository: str, revision: str, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.prefix = f"/{repository}/resolve/{revision}/"
        self.revision, self.files = revision, files
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: ModelHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        content = self._answer()
        if content is not None:
            self.wfile.write(content)

    def _answer(self) -> bytes | None:
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
        """Keep the tests quiet."""


@contextmanager
def serving_model(repository: str, revision: str, files: Mapping[str, bytes]) -> Iterator[ModelHub]:
    """The server, on a free port, for as long as the block lasts."""
    with ModelHub(repository, revision, files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
