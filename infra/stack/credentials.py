"""Passwords, keys and ports of a stack: generated once for its folder, then read from it."""

import random
import secrets
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.stack.errors import StackError
from infra.stack.layout import Layout, write_private

HOST: Final = "127.0.0.1"
# Below the ports that Linux and macOS give to outgoing connections, so that no program takes one between two starts.
_PORTS: Final = range(20000, 32000)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyPair(_Stored):
    """One identity of the S3 server."""

    access: str = Field(default_factory=lambda: f"LZN{secrets.token_hex(8).upper()}", repr=False)
    secret: str = Field(default_factory=lambda: secrets.token_hex(20), repr=False)


def _password() -> str:
    return secrets.token_hex(16)


def _secret() -> str:
    password: str = Field(default_factory=_password, repr=False)
    return password


class Credentials(_Stored):
    """All passwords. They are hexadecimal, so URLs, shells and INI files need no quoting; `repr` hides them."""

    postgres_admin: str = _secret()
    postgres_prefect: str = _secret()
    postgres_mlflow: str = _secret()
    postgres_mlflow_auth: str = _secret()
    mlflow_admin: str = _secret()
    mlflow_user: str = _secret()
    mlflow_session: str = _secret()
    prefect: str = _secret()
    s3_signing: str = _secret()
    s3_admin: KeyPair = Field(default_factory=KeyPair)
    s3_mlflow: KeyPair = Field(default_factory=KeyPair)
    s3_dvc: KeyPair = Field(default_factory=KeyPair)


class Ports(_Stored):
    """All ports, on the loopback address."""

    postgres: int
    s3: int
    s3_grpc: int
    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int
    mlflow: int
    prefect: int


_Model = TypeVar("_Model", Credentials, Ports)


def load_credentials(layout: Layout) -> Credentials:
    """Read the folder's passwords, or generate them. Raises StackError if the file is damaged."""
    return _read(layout.secrets, Credentials) or _write(layout.secrets, Credentials())


def load_ports(layout: Layout) -> Ports:
    """Read the folder's ports, or choose free ones. Raises StackError if the file is damaged."""
    return _read(layout.ports, Ports) or _write(layout.ports, _free_ports())


def is_free(port: int) -> bool:
    """Return whether a server can listen on a port."""
    with socket.socket() as probe:
        return _can_bind(probe, port)


def _read(path: Path, model: type[_Model]) -> _Model | None:
    if not path.exists():
        return None
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) or "JSON" for each in error.errors())
        raise StackError(
            f"{path} is damaged ({fields}): restore it, or remove the stack with `destroy`"
        ) from None


def _write(path: Path, value: _Model) -> _Model:
    write_private(path, value.model_dump_json(indent=1) + "\n")
    return value


def _free_ports() -> Ports:
    names = list(Ports.model_fields)
    found: list[int] = []
    with ExitStack() as sockets:  # all stay bound until the end, so that no port is chosen twice
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(found) == len(names):
                return Ports(**dict(zip(names, found, strict=True)))
            if _can_bind(sockets.enter_context(socket.socket()), port):
                found.append(port)
    raise StackError(
        f"fewer than {len(names)} ports are free between {_PORTS.start} and {_PORTS.stop}: stop other programs"
    )


def _can_bind(probe: socket.socket, port: int) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores closed connections in TIME_WAIT
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True
