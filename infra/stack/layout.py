"""The paths of one stack, all in a single folder."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

PROJECT: Final = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER: Final = PROJECT / ".stack"


@dataclass(frozen=True)
class Layout:
    """Paths below the stack's folder `root`, an absolute path."""

    root: Path

    @property
    def env(self) -> Path:
        """The clients' variables, as lines `export NAME=value`."""
        return self.root / "env"

    @property
    def secrets(self) -> Path:
        """All passwords and keys."""
        return self.root / "secrets"

    @property
    def ports(self) -> Path:
        """The servers' ports."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor while it runs."""
        return self.root / "lock"

    @property
    def supervisor_pid(self) -> Path:
        """The process id of the supervisor."""
        return self.root / "supervisor.pid"

    @property
    def status(self) -> Path:
        """The status of each service."""
        return self.root / "status.json"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's folder. It belongs to the user `postgres` if root starts the stack."""
        return self.root / "postgres"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data folder."""
        return self.postgres / "cluster"

    @property
    def s3(self) -> Path:
        """Objects, keys and certificates of the S3 server."""
        return self.root / "s3"

    @property
    def mlflow(self) -> Path:
        """Configuration of MLflow's logins."""
        return self.root / "mlflow"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME of the server and the workers, so that they read no profile of the user."""
        return self.root / "prefect"

    @property
    def work(self) -> Path:
        """LZN_WORK of the workers."""
        return self.root / "work"

    def log(self, service: str) -> Path:
        """The output of one service."""
        return self.root / "logs" / f"{service}.log"

    def make(self) -> None:
        """Make the folders. Other users cannot list them; the user `postgres` can reach its own."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.s3, self.mlflow, self.prefect, self.work, self.log("any").parent):
            folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path) -> IO[bytes]:
    """Open a file to append to. Only its owner can read it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only its owner can read."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
