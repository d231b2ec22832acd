"""Requests to the servers, with their passwords, that a health check makes."""

import base64
import http.client
import json
from typing import Any, Final

from infra.stack.credentials import HOST

_SECONDS: Final = 5.0


def answer(port: int, path: str, *, login: str, method: str = "GET", body: object = None) -> tuple[int, Any]:
    """Status and JSON (None if it is none) of a request by `login` (user:password); status 0: no server."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_SECONDS)
    headers = {
        "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
        "Content-Type": "application/json",
    }
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        status, content = response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()
    return status, _json(content)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
