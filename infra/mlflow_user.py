"""Make the MLflow user of workers and people, who is no administrator: `python -m infra.mlflow_user`.

Reads MLFLOW_TRACKING_URI, MLFLOW_AUTH_ADMIN_USERNAME and MLFLOW_AUTH_ADMIN_PASSWORD (the administrator), and
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (the user). A user who exists gets this password, and loses the
rights of an administrator.
"""

import base64
import json
import os
import sys
from collections.abc import Mapping
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

_TIMEOUT_SECONDS = 30.0
_without_proxy = build_opener(ProxyHandler({}))
_EXISTS = "RESOURCE_ALREADY_EXISTS"


class MlflowUserError(RuntimeError):
    """MLflow does not answer or refuses. The message contains no password."""


def make_user(server: str, *, admin: tuple[str, str], user: tuple[str, str]) -> None:
    """Make the user, or change the password and the rights of the existing one.

    Args:
        server: address of MLflow's server.
        admin: name and password of an administrator.
        user: name and password of the user.

    Raises:
        MlflowUserError: the names are the same, the server does not answer, or it refuses.
    """
    name, password = user
    if name == admin[0]:
        raise MlflowUserError(
            f"the user {name} is the administrator: choose another MLFLOW_TRACKING_USERNAME"
        )
    account = {"username": name, "password": password}
    status, answer = _request(server, "create", "POST", account, admin)
    if status == HTTPStatus.OK:
        return
    if answer.get("error_code") != _EXISTS:
        raise MlflowUserError(f"MLflow at {server} refuses to make the user {name} ({status})")
    for action, body in (
        ("update-password", account),
        ("update-admin", {"username": name, "is_admin": False}),
    ):
        status, _ = _request(server, action, "PATCH", body, admin)
        if status != HTTPStatus.OK:
            raise MlflowUserError(f"MLflow at {server} refuses {action} of the user {name} ({status})")


def _request(
    server: str, action: str, method: str, body: Mapping[str, object], login: tuple[str, str]
) -> tuple[int, Mapping[str, object]]:
    """Send a request about users. Return the status and the answer."""
    token = base64.b64encode(":".join(login).encode()).decode()
    request = Request(
        f"{server.rstrip('/')}/api/2.0/mlflow/users/{action}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        with _without_proxy.open(request, timeout=_TIMEOUT_SECONDS) as response:
            return response.status, {}
    except HTTPError as error:
        return error.code, _parse(error.read())
    except (URLError, OSError) as error:
        raise MlflowUserError(f"MLflow at {server} does not answer: {error}") from error


def _parse(content: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(content)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def main(environment: Mapping[str, str]) -> int:
    """Make the user. Return 1 after an error, which is printed in one line without passwords."""
    try:
        make_user(
            environment["MLFLOW_TRACKING_URI"],
            admin=(environment["MLFLOW_AUTH_ADMIN_USERNAME"], environment["MLFLOW_AUTH_ADMIN_PASSWORD"]),
            user=(environment["MLFLOW_TRACKING_USERNAME"], environment["MLFLOW_TRACKING_PASSWORD"]),
        )
    except KeyError as error:
        print(f"{error.args[0]} is not set", file=sys.stderr)
    except MlflowUserError as error:
        print(error, file=sys.stderr)
    else:
        print(f"MLflow has the user {environment['MLFLOW_TRACKING_USERNAME']}.")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
