"""Requests with a password, for health checks of the servers."""

import base64
import http.client
import json
from typing import Any, Final

from infra.stack.credentials import HOST

_TIMEOUT_SECONDS: Final = 5.0


def request_json(
    port: int, path: str, *, login: str, method: str = "GET", body: object = None
) -> tuple[int, Any]:
    """Send a request as `login` (user:password). Return the HTTP status and the parsed JSON.

    The status is 0 if no server responds. The JSON is None if the content is not JSON.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_SECONDS)
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
    return status, _parse(content)


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
