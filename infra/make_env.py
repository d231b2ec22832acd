"""Write random passwords for the containers and for Kubernetes: `python infra/make_env.py`.

    infra/.env                           what compose.yaml reads
    infra/.secrets/postgres_password     mounted by compose as secrets
    infra/.secrets/s3.json
    infra/.secrets/kubernetes/NAME/      one file a key: `kubectl create secret generic NAME --from-file=FOLDER`

Only you can read these files (mode 600, folders 700), and git ignores them. Needs only Python's standard library.
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
MLFLOW_ADMIN = "admin"
MLFLOW_USER = "lzn"
"""MLflow's user for workers and people, who is no administrator."""
_HERE = Path(__file__).resolve().parent
_SECRET_FILE, _SECRET_FOLDER = 0o600, 0o700


def _new_secret() -> str:
    """Return 192 random bits in hexadecimal, which URLs and INI files hold without quoting."""
    return secrets.token_hex(24)


@dataclass(frozen=True)
class S3Key:
    """A key of the S3 server for one bucket, or an administrator's key (bucket None)."""

    name: str
    bucket: str | None
    access_key: str = field(default_factory=lambda: secrets.token_hex(10))
    secret_key: str = field(default_factory=_new_secret, repr=False)

    @property
    def identity(self) -> dict[str, object]:
        """The entry in SeaweedFS's `s3.json`."""
        actions = ["Read", "Write", "List", "Tagging"]
        return {
            "name": self.name,
            "credentials": [{"accessKey": self.access_key, "secretKey": self.secret_key}],
            "actions": [f"{action}:{self.bucket}" for action in actions]
            if self.bucket
            else ["Admin", *actions],
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables of S3 clients."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


def s3_configuration(keys: Sequence[S3Key]) -> str:
    """Return the S3 server's `s3.json`: which key may do what."""
    return json.dumps({"identities": [key.identity for key in keys]}, indent=2) + "\n"


@dataclass(frozen=True)
class Passwords:
    """All secrets of one installation."""

    postgres: str = field(default_factory=_new_secret, repr=False)
    postgres_mlflow: str = field(default_factory=_new_secret, repr=False)
    postgres_prefect: str = field(default_factory=_new_secret, repr=False)
    mlflow_admin: str = field(default_factory=_new_secret, repr=False)
    mlflow_user: str = field(default_factory=_new_secret, repr=False)
    mlflow_sessions: str = field(default_factory=_new_secret, repr=False)
    prefect: str = field(default_factory=lambda: f"lzn:{_new_secret()}", repr=False)
    s3_admin: S3Key = field(default_factory=lambda: S3Key("admin", None))
    s3_dvc: S3Key = field(default_factory=lambda: S3Key("dvc", DVC_BUCKET))
    s3_mlflow: S3Key = field(default_factory=lambda: S3Key("mlflow", MLFLOW_BUCKET))

    @property
    def s3_json(self) -> str:
        """The S3 server's configuration."""
        return s3_configuration((self.s3_admin, self.s3_dvc, self.s3_mlflow))

    def compose_variables(self) -> dict[str, str]:
        """Return the variables in `infra/.env`."""
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
            "MLFLOW_ADMIN_PASSWORD": self.mlflow_admin,
            "MLFLOW_TRACKING_USERNAME": MLFLOW_USER,
            "MLFLOW_TRACKING_PASSWORD": self.mlflow_user,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.mlflow_sessions,
            "PREFECT_API_AUTH_STRING": self.prefect,
        }

    def kubernetes_secrets(self) -> dict[str, dict[str, str]]:
        """Return the namespace's Secret objects: name to keys and values."""
        mlflow_database = f"postgresql+psycopg2://mlflow:{self.postgres_mlflow}@postgres:5432/mlflow"
        prefect_database = f"postgresql+asyncpg://prefect:{self.postgres_prefect}@postgres:5432/prefect"
        administrator = {
            "MLFLOW_AUTH_ADMIN_USERNAME": MLFLOW_ADMIN,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.mlflow_admin,
        }
        user = {"MLFLOW_TRACKING_USERNAME": MLFLOW_USER, "MLFLOW_TRACKING_PASSWORD": self.mlflow_user}
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
                **administrator,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": self.mlflow_sessions,
                **self.s3_mlflow.environment,
            },
            "lzn-mlflow-user": {**administrator, **user},
            "lzn-prefect": {
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect_database,
                "PREFECT_SERVER_API_AUTH_STRING": self.prefect,
            },
            "lzn-client": {
                **user,
                "PREFECT_API_AUTH_STRING": self.prefect,
                **self.s3_dvc.environment,
            },
        }


def write(passwords: Passwords, folder: Path) -> None:
    """Write all files below `folder`.

    Raises FileExistsError if one exists, since the servers' data need the old passwords.
    """
    present = [path for path in (folder / ".env", folder / ".secrets") if path.exists()]
    if present:
        raise FileExistsError(
            f"{present[0]} exists, and the servers' data need its passwords: remove the file and the data together"
        )
    secret_folder = folder / ".secrets"
    _write_folder(secret_folder, {"postgres_password": passwords.postgres, "s3.json": passwords.s3_json})
    _make_folder(secret_folder / "kubernetes")
    for name, values in passwords.kubernetes_secrets().items():
        _write_folder(secret_folder / "kubernetes" / name, values)
    lines = [f"{name}={value}\n" for name, value in passwords.compose_variables().items()]
    _write_file(folder / ".env", "".join(lines))  # last, so that all files exist once this one does


def _write_folder(folder: Path, files: Mapping[str, str]) -> None:
    _make_folder(folder)
    for name, text in files.items():
        _write_file(folder / name, text)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=_SECRET_FOLDER)
    folder.chmod(_SECRET_FOLDER)  # independent of the umask


def _write_file(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET_FILE)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, _SECRET_FILE)
        file.write(text)


def main(arguments: Sequence[str]) -> int:
    """Write the files beside this program, or into `--folder`. Return 1 if they exist."""
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
