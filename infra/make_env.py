"""Write random passwords for the containers and for Kubernetes: `python infra/make_env.py`.

    infra/.env                           what compose.yaml reads
    infra/.secrets/postgres_password     mounted by compose as secrets
    infra/.secrets/s3.json
    infra/.secrets/kubernetes/NAME/      one file a key: `kubectl create secret generic NAME --from-file=FOLDER`

Everything is readable by you alone (mode 600, folders 700) and ignored by git. Needs nothing but Python.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DVC_BUCKET = "lzn-dvc"
MLFLOW_BUCKET = "lzn-mlflow"
_HERE = Path(__file__).resolve().parent
_SECRET_FILE, _SECRET_FOLDER = 0o600, 0o700


def _new_secret() -> str:
    """192 random bits; hexadecimal, so that it stands in URLs and INI files as it is."""
    return secrets.token_hex(24)


@dataclass(frozen=True)
class S3Key:
    """A key of the S3 server and, but for an administrator's, the one bucket that it opens."""

    name: str
    bucket: str | None
    access_key: str = field(default_factory=lambda: secrets.token_hex(10))
    secret_key: str = field(default_factory=_new_secret, repr=False)

    @property
    def identity(self) -> dict[str, object]:
        """The key as SeaweedFS's `s3.json` has it."""
        scope = f":{self.bucket}" if self.bucket else ""
        actions = (
            ["Read", "Write", "List", "Tagging"]
            if self.bucket
            else ["Admin", "Read", "Write", "List", "Tagging"]
        )
        credentials = {"accessKey": self.access_key, "secretKey": self.secret_key}
        return {
            "name": self.name,
            "credentials": [credentials],
            "actions": [f"{action}{scope}" for action in actions],
        }

    @property
    def environment(self) -> dict[str, str]:
        """The key as clients of S3 read it."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@dataclass(frozen=True)
class Passwords:
    """Every secret of one installation."""

    postgres: str = field(default_factory=_new_secret, repr=False)
    postgres_mlflow: str = field(default_factory=_new_secret, repr=False)
    postgres_prefect: str = field(default_factory=_new_secret, repr=False)
    mlflow_admin: str = field(default_factory=_new_secret, repr=False)
    mlflow_sessions: str = field(default_factory=_new_secret, repr=False)
    prefect: str = field(default_factory=lambda: f"lzn:{_new_secret()}", repr=False)
    s3_admin: S3Key = field(default_factory=lambda: S3Key("admin", None))
    s3_dvc: S3Key = field(default_factory=lambda: S3Key("dvc", DVC_BUCKET))
    s3_mlflow: S3Key = field(default_factory=lambda: S3Key("mlflow", MLFLOW_BUCKET))

    @property
    def s3_json(self) -> str:
        """Configuration of the S3 server: who may do what."""
        keys = (self.s3_admin, self.s3_dvc, self.s3_mlflow)
        return json.dumps({"identities": [key.identity for key in keys]}, indent=2) + "\n"

    def compose_variables(self) -> dict[str, str]:
        """What `infra/.env` holds."""
        return {
            "COMPOSE_PROJECT_NAME": "lzn",
            "POSTGRES_PASSWORD": self.postgres,
            "POSTGRES_MLFLOW_PASSWORD": self.postgres_mlflow,
            "POSTGRES_PREFECT_PASSWORD": self.postgres_prefect,
            "S3_ADMIN_ACCESS_KEY_ID": self.s3_admin.access_key,
            "S3_ADMIN_SECRET_ACCESS_KEY": self.s3_admin.secret_key,
            "S3_DVC_ACCESS_KEY_ID": self.s3_dvc.access_key,
            "S3_DVC_SECRET_ACCESS_KEY": self.s3_dvc.secret_key,
            "S3_MLFLOW_ACCESS_KEY_ID": self.s3_mlflow.access_key,
            "S3_MLFLOW_SECRET_ACCESS_KEY": self.s3_mlflow.secret_key,
            "MLFLOW_TRACKING_USERNAME": "lzn",
            "MLFLOW_TRACKING_PASSWORD": self.mlflow_admin,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.mlflow_sessions,
            "PREFECT_API_AUTH_STRING": self.prefect,
        }

    def kubernetes_secrets(self) -> dict[str, dict[str, str]]:
        """The Secret objects of the namespace: name to keys and values."""
        mlflow_database = f"postgresql+psycopg2://mlflow:{self.postgres_mlflow}@postgres:5432/mlflow"
        prefect_database = f"postgresql+asyncpg://prefect:{self.postgres_prefect}@postgres:5432/prefect"
        return {
            "lzn-postgres": {"password": self.postgres},
            "lzn-s3": {"s3.json": self.s3_json},
            "lzn-provision": {
                "PGPASSWORD": self.postgres,
                "POSTGRES_MLFLOW_PASSWORD": self.postgres_mlflow,
                "POSTGRES_PREFECT_PASSWORD": self.postgres_prefect,
                **self.s3_admin.environment,
            },
            "lzn-mlflow": {
                "MLFLOW_BACKEND_STORE_URI": mlflow_database,
                "MLFLOW_AUTH_ADMIN_USERNAME": "lzn",
                "MLFLOW_AUTH_ADMIN_PASSWORD": self.mlflow_admin,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": self.mlflow_sessions,
                **self.s3_mlflow.environment,
            },
            "lzn-prefect": {
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect_database,
                "PREFECT_SERVER_API_AUTH_STRING": self.prefect,
            },
            "lzn-client": {
                "MLFLOW_TRACKING_USERNAME": "lzn",
                "MLFLOW_TRACKING_PASSWORD": self.mlflow_admin,
                "PREFECT_API_AUTH_STRING": self.prefect,
                **self.s3_dvc.environment,
            },
        }


def write(passwords: Passwords, folder: Path) -> None:
    """Write all files below `folder`.

    Raises FileExistsError if there is one already: the servers' data know the old passwords.
    """
    present = [path for path in (folder / ".env", folder / ".secrets") if path.exists()]
    if present:
        raise FileExistsError(
            f"{present[0]} exists, and the servers' data know its passwords: remove both or neither"
        )
    secret_folder = folder / ".secrets"
    _write_folder(secret_folder, {"postgres_password": passwords.postgres, "s3.json": passwords.s3_json})
    _make_folder(secret_folder / "kubernetes")
    for name, values in passwords.kubernetes_secrets().items():
        _write_folder(secret_folder / "kubernetes" / name, values)
    lines = [f"{name}={value}\n" for name, value in passwords.compose_variables().items()]
    _write_file(folder / ".env", "".join(lines))  # last: with it, all is there


def _write_folder(folder: Path, files: Mapping[str, str]) -> None:
    _make_folder(folder)
    for name, text in files.items():
        _write_file(folder / name, text)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=_SECRET_FOLDER)
    folder.chmod(_SECRET_FOLDER)  # whatever the umask


def _write_file(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET_FILE)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, _SECRET_FILE)
        file.write(text)


def main(arguments: Sequence[str]) -> int:
    """Write the files beside this one, or in a folder given; 1 if they are there already."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=_HERE, help="default: the folder of this program")
    folder = parser.parse_args(arguments).folder
    try:
        write(Passwords(), folder)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Passwords are in {folder / '.env'} and {folder / '.secrets'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
