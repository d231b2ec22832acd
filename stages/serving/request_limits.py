"""Limits of a server on the bodies of requests: their size, the time of their upload, and how many are handled at once.

MLflow's server reads a body of any size, from any number of clients, for any time. `limited` is put around its function
that answers a request.
"""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]


@dataclass
class RequestLimits:
    """The limits of one server.

    Attributes:
        max_body_bytes: longest body.
        max_upload_seconds: longest time until the body has arrived.
        max_requests: how many requests are handled at a time; further ones are refused, and no queue grows.
    """

    max_body_bytes: int = 64 * 2**20
    max_upload_seconds: float = 30.0
    max_requests: int = 8
    _num_running: int = field(default=0, init=False)

    def limited(self, handler: Handler) -> Handler:
        """Return a handler that refuses requests beyond the limits, with the status 408, 413 or 503."""

        @functools.wraps(handler)
        async def checked(request: Request) -> Response:
            if self._num_running >= self.max_requests:
                return _refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"the server handles {self.max_requests} requests already: send this one again later",
                )
            self._num_running += 1
            try:
                return await self._read(request) or await handler(request)
            finally:
                self._num_running -= 1

        return checked

    async def _read(self, request: Request) -> Response | None:
        """Read the body into the request. Return a refusal if a limit is reached."""
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self.max_body_bytes:
            return self._too_large()
        try:
            body = await asyncio.wait_for(self._body(request), self.max_upload_seconds)
        except TimeoutError:
            message = f"the request did not arrive within {self.max_upload_seconds:g} seconds"
            return _refusal(HTTPStatus.REQUEST_TIMEOUT, message)
        except ClientDisconnect:
            return _refusal(HTTPStatus.BAD_REQUEST, "the client has gone")
        if body is None:
            return self._too_large()
        request._body = body  # where Starlette keeps a body that was read
        return None

    async def _body(self, request: Request) -> bytes | None:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self.max_body_bytes:
                return None
            parts.append(part)
        return b"".join(parts)

    def _too_large(self) -> Response:
        return _refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the request has more than {self.max_body_bytes} bytes: send fewer or smaller images at a time",
        )


def _refusal(status: HTTPStatus, message: str) -> Response:
    content: dict[str, Any] = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": message}
    headers = {"connection": "close"}  # the rest of the body is not read
    return Response(json.dumps(content), status, headers, media_type="application/json")
