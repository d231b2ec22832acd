"""Where MLflow stores artifacts: never in another project, although MLflow's database has absolute paths.

A copied or moved project has a database whose paths lead to the old place. `re_root` changes them to the folder of the
database; `require_own_place` refuses to write through any other path.
"""

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from stages.runtime.project_root import project_root

ROOT_VARIABLE = "LZN_ARTIFACT_ROOT"
"""Environment variable: a folder outside the project where an MLflow server stores artifacts, and which is allowed."""
_FOLDERS = ("mlartifacts", "mlruns")
"""Folders of artifacts beside a database: that of this project, and MLflow's default."""
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def local_path(location: str) -> Path | None:
    """Return the path of a location on this machine; None for other stores such as ``s3:``."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(location)


def require_own_place(location: str, *, artifact_root: Path | None) -> None:
    """Check that artifacts are not written into another project.

    Args:
        location: where MLflow stores the artifacts of a run or model.
        artifact_root: the folder of artifacts beside the database; None with a server.

    Raises:
        MlflowException: the location is a folder outside the project; the message says how to change it.
    """
    path = local_path(location)
    if path is None:
        return
    own = project_root() if artifact_root is None else artifact_root.parent
    named = os.environ.get(ROOT_VARIABLE)
    allowed = [own.resolve(), *([] if not named else [Path(named).resolve()])]
    if any(path.resolve().is_relative_to(root) for root in allowed):
        return
    raise MlflowException(
        f"artifacts would be written to {path}, outside of {allowed[0]}: copy the folder mlartifacts of the old "
        f"project beside mlflow.db and start again, which changes the paths; or, if your server stores them there, set "
        f"{ROOT_VARIABLE} to that folder"
    )


def re_root(database: Path) -> None:
    """Change the paths of a copied or moved SQLite database to artifacts beside it.

    The paths below an old place are changed, unless it has artifacts that are not beside the database.

    Raises:
        OSError: the database cannot be changed.
    """
    own = database.parent.resolve()
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            tables = dict(_existing_columns(connection))
            rows = connection.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
            for old in _old_roots([location for _, location in rows], own):
                _artifact_repos_cache.clear()  # MLflow remembers the places of the runs that it has written to
                for table, columns in tables.items():
                    for column in columns:
                        _replace_start(connection, table, column, old, str(own))
                # Of a database without trainings, which has only MLflow's own experiment 0, nothing is said.
                if any(number and str(location).startswith(f"{old}/") for number, location in rows):
                    moved = f"artifacts are now in {own}, not in {old}"
                    print(f"MLflow: {database.name} was copied or moved: {moved}", file=sys.stderr)
    except sqlite3.Error as error:
        raise OSError(f"{database} cannot be read or changed: {error}") from error


def _existing_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    for table in dict.fromkeys(table for table, _ in _COLUMNS):
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        yield table, [column for name, column in _COLUMNS if name == table and column in there]


def _old_roots(locations: Iterable[str | None], own: Path) -> list[str]:
    """Return the folders, other than this one, for which locations were stored and whose locations can be changed."""
    can_change: dict[str, bool] = {}
    for location in locations:
        path = None if location is None else local_path(location)
        parts = () if path is None or not path.is_absolute() else path.parts
        place = next((at for at in range(len(parts) - 1, 0, -1) if parts[at] in _FOLDERS), None)
        if path is None or place is None:
            continue
        root = Path(*parts[:place])
        if root.resolve() != own:
            is_left_behind = path.exists() and not own.joinpath(*parts[place:]).exists()
            can_change[str(root)] = can_change.get(str(root), True) and not is_left_behind
    return sorted(root for root, can in can_change.items() if can)


def _replace_start(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> None:
    for scheme in ("", "file://"):
        start = f"{scheme}{old}/"
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
            (f"{scheme}{new}/", len(start) + 1, len(start), start),
        )
