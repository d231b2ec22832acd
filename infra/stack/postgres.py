"""The PostgreSQL server from Debian's package, with a role and a database for each of its users."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2
from psycopg2 import extensions

from infra.databases import make_databases
from infra.stack.credentials import HOST, Credentials, Ports
from infra.stack.environment import base_environment
from infra.stack.errors import StackError
from infra.stack.layout import Layout, write_private
from infra.stack.process_tags import TAG_VARIABLE, tag
from infra.stack.service import Service

SYSTEM_USER: Final = "postgres"
_ADMIN: Final = "postgres"
_DEBIAN: Final = Path("/usr/lib/postgresql")
_MISSING: Final = (
    "PostgreSQL's server programs are missing: install them (Debian: `apt-get install postgresql`, "
    "which puts initdb and postgres in /usr/lib/postgresql/VERSION/bin) or put them on the PATH"
)


@dataclass(frozen=True)
class Database:
    """A database, and its role of the same name."""

    name: str
    password: str

    def url(self, ports: Ports, *, driver: str) -> str:
        """Return the address for SQLAlchemy."""
        return f"postgresql+{driver}://{self.name}:{self.password}@{HOST}:{ports.postgres}/{self.name}"


def databases(credentials: Credentials) -> dict[str, Database]:
    """Return the databases by name: Prefect's, and MLflow's for runs and for logins."""
    passwords: Mapping[str, str] = {
        "prefect": credentials.postgres_prefect,
        "mlflow": credentials.postgres_mlflow,
        "mlflow_auth": credentials.postgres_mlflow_auth,
    }
    return {name: Database(name, password) for name, password in passwords.items()}


def postgres_service(layout: Layout, credentials: Credentials, ports: Ports) -> Service:
    """Return the server. Raises StackError if its programs or, for root, its user are missing."""
    programs = find_programs()
    user = _server_user()
    settings = {
        "listen_addresses": HOST,
        "port": str(ports.postgres),
        "unix_socket_directories": "",  # TCP only
        "log_min_messages": "warning",
        "max_connections": "200",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return Service(
        name="postgres",
        command=(str(programs / "postgres"), "-D", str(layout.cluster), *options),
        environment=base_environment(),
        cwd=layout.cluster,
        prepare=lambda: _prepare_cluster(layout, credentials, programs, user),
        is_ready=lambda: _is_healthy(credentials, ports) and _make_databases(credentials, ports),
        is_healthy=lambda: _is_healthy(credentials, ports),
        ports=(ports.postgres,),
        user=user,
        stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for clients to disconnect
        stop_seconds=30.0,
    )


def find_programs() -> Path:
    """Return the folder of initdb and postgres, newest version. Raises StackError if they are not installed."""
    installed = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: _version(path.parents[1].name))
    found = installed[-1] if installed else shutil.which("initdb")
    if found is None or not (Path(found).parent / "postgres").exists():
        raise StackError(_MISSING)
    return Path(found).resolve().parent


def _version(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return 0.0


def _server_user() -> str | None:
    """Return the user `postgres` for root, since PostgreSQL refuses to run as root, else None."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise StackError(
            f"PostgreSQL does not run as root, and the user {SYSTEM_USER} does not exist: {_MISSING}"
        ) from None
    return SYSTEM_USER


def _prepare_cluster(layout: Layout, credentials: Credentials, programs: Path, user: str | None) -> None:
    layout.postgres.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        shutil.chown(layout.postgres, user, user)
        _check_reachable(layout.postgres, user)
    if not layout.cluster.exists():
        _make_cluster(layout, credentials, programs, user)
    created_by, installed = _cluster_version(layout), _programs_version(programs)
    if created_by != installed:
        raise StackError(
            f"{layout.cluster} was made by PostgreSQL {created_by}, but {installed} is installed: "
            "install that version, move the data with pg_upgrade, or remove the stack with `destroy`"
        )
    rules = ["local all all scram-sha-256", f"host all {_ADMIN} {HOST}/32 scram-sha-256"]
    rules += [f"host {name} {name} {HOST}/32 scram-sha-256" for name in databases(credentials)]
    access = layout.cluster / "pg_hba.conf"
    write_private(access, "\n".join(rules) + "\n")
    if user is not None:
        shutil.chown(access, user, user)


def _check_reachable(folder: Path, user: str) -> None:
    if subprocess.run(
        ["test", "-x", str(folder)], user=user, group=user, extra_groups=[], check=False
    ).returncode:
        raise StackError(
            f"the user {user} cannot reach {folder}, and PostgreSQL runs as this user when root starts it: "
            "run chmod o+x on the folders above, or choose another folder with --folder"
        )


def _make_cluster(layout: Layout, credentials: Credentials, programs: Path, user: str | None) -> None:
    """Make the cluster in a temporary folder and rename it, so that a killed start leaves no incomplete cluster."""
    temporary = layout.postgres / "cluster.new"
    shutil.rmtree(temporary, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=layout.postgres) as file:  # all users can read a command line
        file.write(credentials.postgres_admin)
        file.flush()
        if user is not None:
            shutil.chown(file.name, user, user)
        done = subprocess.run(
            [
                *(str(programs / "initdb"), "-D", str(temporary), "-U", _ADMIN, f"--pwfile={file.name}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            ],
            env={**base_environment(), TAG_VARIABLE: tag(layout, "postgres")},
            cwd="/",
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise StackError(f"initdb failed:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    temporary.rename(layout.cluster)


def _cluster_version(layout: Layout) -> str:
    return (layout.cluster / "PG_VERSION").read_text(encoding="ascii").strip()


def _programs_version(programs: Path) -> str:
    printed = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
    return printed.stdout.split()[2].split(".")[0]


def _connect(credentials: Credentials, ports: Ports) -> extensions.connection:
    return psycopg2.connect(
        host=HOST,
        port=ports.postgres,
        user=_ADMIN,
        password=credentials.postgres_admin,
        dbname="postgres",
        connect_timeout=3,
    )


def _is_healthy(credentials: Credentials, ports: Ports) -> bool:
    try:
        connection = _connect(credentials, ports)
    except psycopg2.OperationalError:
        return False
    connection.close()
    return True


def _make_databases(credentials: Credentials, ports: Ports) -> bool:
    passwords = {database.name: database.password for database in databases(credentials).values()}
    with closing(_connect(credentials, ports)) as connection:
        make_databases(connection, passwords)
    return True
