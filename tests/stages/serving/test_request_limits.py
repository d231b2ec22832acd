"""Limits of a real HTTP server, seen by clients that send too much, too slowly, or at once."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pipelines.local.prefect_server import free_port
from stages.serving.request_limits import RequestLimits

LIMITS = RequestLimits(max_body_bytes=1000, max_upload_seconds=120.0, max_requests=2)
HURRY = RequestLimits(max_upload_seconds=0.2)


async def count(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    routes = [
        Route(path, limits.limited(count), methods=["POST"])
        for path, limits in (("/", LIMITS), ("/hurry", HURRY))
    ]
    app = Starlette(routes=routes)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()


def open_request(port: int, *headers: str, body: bytes = b"", path: str = "/") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode() + body)
    return client


def answer(client: socket.socket) -> tuple[int, str]:
    """Return the status and the content."""
    with client:
        received = b""
        while (at := received.find(b"\r\n\r\n")) < 0 or not received[at + 4 :]:
            received += client.recv(65536)
    head, _, content = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), content.decode()


def test_a_body_within_the_limits_is_read(port: int) -> None:
    assert answer(open_request(port, "Content-Length: 1000", body=bytes(1000))) == (200, "1000")


def test_a_body_that_is_announced_too_long_is_refused_before_it_is_sent(port: int) -> None:
    status, content = answer(open_request(port, "Content-Length: 1001"))
    assert (status, json.loads(content)["error_code"]) == (413, "REQUEST_LIMIT_EXCEEDED")
    assert "more than 1000 bytes" in content


def test_a_body_of_unknown_length_is_counted(port: int) -> None:
    chunk = b"400\r\n" + bytes(0x400) + b"\r\n"
    status, content = answer(open_request(port, "Transfer-Encoding: chunked", body=chunk))
    assert (status, "more than 1000 bytes" in content) == (413, True)


def test_a_body_that_does_not_arrive_is_not_waited_for(port: int) -> None:
    status, content = answer(open_request(port, "Content-Length: 1000", body=bytes(10), path="/hurry"))
    assert (status, "did not arrive within 0.2 seconds" in content) == (408, True)


def test_requests_beyond_the_number_are_refused_and_later_ones_are_answered(port: int) -> None:
    waiting = [open_request(port, "Content-Length: 10") for _ in range(2)]
    status, content = 0, ""
    while status != 503:  # the server has not yet seen both
        status, content = answer(open_request(port, "Content-Length: 1", body=b"x"))
    assert "handles 2 requests already" in content
    for client in waiting:
        client.sendall(bytes(10))
        assert answer(client) == (200, "10")
    assert answer(open_request(port, "Content-Length: 1", body=b"x")) == (200, "1")


def test_a_client_that_goes_away_leaves_its_place(port: int) -> None:
    for _ in range(3):
        open_request(port, "Content-Length: 10").close()
    status = 0
    while status != 200:
        status, _ = answer(open_request(port, "Content-Length: 1", body=b"x"))
