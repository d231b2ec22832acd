"""Where everything of one stack lies: a single folder."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

PROJECT: Final = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER: Final = PROJECT / ".stack"


@dataclass(frozen=True)
class Layout:
    """Paths in the stack's folder `root`, which is absolute."""

    root: Path

    @property
    def env(self) -> Path:
        """What clients need: `export NAME=value` lines."""
        return self.root / "env"

    @property
    def secrets(self) -> Path:
        """All passwords and keys, also those that no client gets."""
        return self.root / "secrets"

    @property
    def ports(self) -> Path:
        """The servers' ports."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it runs."""
        return self.root / "lock"

    @property
    def supervisor_pid(self) -> Path:
        """The process to send SIGTERM to."""
        return self.root / "supervisor.pid"

    @property
    def status(self) -> Path:
        """What the supervisor knows of each service."""
        return self.root / "status.json"

    @property
    def postgres(self) -> Path:
        """The only part that belongs to the user `postgres` where root starts the stack."""
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
        """PREFECT_HOME of the server and the workers, so that nobody's profile takes part."""
        return self.root / "prefect"

    @property
    def work(self) -> Path:
        """LZN_WORK of the workers."""
        return self.root / "work"

    def log(self, service: str) -> Path:
        """The output of one service."""
        return self.root / "logs" / f"{service}.log"

    def make(self) -> None:
        """Make the folders: nobody else can list them, and the user `postgres` can pass through to its own."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.s3, self.mlflow, self.prefect, self.work, self.log("any").parent):
            folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: Path) -> IO[bytes]:
    """A file to append to that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def write_private(path: Path, text: str) -> None:
    """Replace a file at once by one that only its owner can read."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
