"""The folder in which a project keeps its state: raw data, checkpoints, caches, MLflow's database.

``dvc exp run --temp`` and ``--queue`` run stages in a temporary copy of the project, which DVC deletes afterwards. So
state is not kept in the current folder, but in the folder of the original project, which DVC names in ``DVC_ROOT``.
"""

import os
from pathlib import Path


def project_root() -> Path:
    """Return ``DVC_ROOT``; without it, the nearest folder above the current one, or itself, that has ``.dvc``.

    If this is the current folder, or if there is none, return the relative path of the current folder.
    """
    current = Path.cwd()
    named = os.environ.get("DVC_ROOT")
    if named:
        root = Path(named).resolve()
    else:
        root = next((folder for folder in (current, *current.parents) if (folder / ".dvc").is_dir()), current)
    return Path() if root == current else root


def in_project(path: str | Path) -> Path:
    """Return the path of something in the project's root; absolute paths and paths in ``~`` stay where they are."""
    return project_root() / Path(path).expanduser()
