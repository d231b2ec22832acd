"""Passwords, keys and ports: generated once for a folder, then kept."""

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
# Below the ports that Linux and macOS hand to outgoing connections: nobody takes one by chance between two starts.
_PORTS: Final = range(20000, 32000)


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyPair(_Kept):
    """One identity of the S3 server."""

    access: str = Field(default_factory=lambda: f"LZN{secrets.token_hex(8).upper()}", repr=False)
    secret: str = Field(default_factory=lambda: secrets.token_hex(20), repr=False)


def _password() -> str:
    return secrets.token_hex(16)


def _secret() -> str:
    password: str = Field(default_factory=_password, repr=False)
    return password


class Credentials(_Kept):
    """Hexadecimal, so that URLs, shells and configuration files need no quoting; `repr` shows none of them."""

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


class Ports(_Kept):
    """All of them on the loopback address."""

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


def kept_credentials(layout: Layout) -> Credentials:
    """The folder's passwords; StackError if its file cannot be read."""
    return _kept(layout.secrets, Credentials) or _keep(layout.secrets, Credentials())


def kept_ports(layout: Layout) -> Ports:
    """The folder's ports, at first any that are free; StackError if its file cannot be read."""
    return _kept(layout.ports, Ports) or _keep(layout.ports, _free_ports())


def is_free(port: int) -> bool:
    """Whether a server could listen on this port."""
    with socket.socket() as probe:
        return _binds(probe, port)


def _kept(path: Path, model: type[_Model]) -> _Model | None:
    if not path.exists():
        return None
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, each["loc"])) or "JSON" for each in error.errors())
        raise StackError(f"{path} is damaged ({fields}); restore it, or start anew with `destroy`") from None


def _keep(path: Path, value: _Model) -> _Model:
    write_private(path, value.model_dump_json(indent=1) + "\n")
    return value


def _free_ports() -> Ports:
    names = list(Ports.model_fields)
    found: list[int] = []
    with ExitStack() as held:  # all at once, so that no port is given twice
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(found) == len(names):
                return Ports(**dict(zip(names, found, strict=True)))
            if _binds(held.enter_context(socket.socket()), port):
                found.append(port)
    raise StackError(f"no {len(names)} free ports between {_PORTS.start} and {_PORTS.stop}")


def _binds(probe: socket.socket, port: int) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections still linger on it
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True
