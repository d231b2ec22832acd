"""Brings what workers made into a checkout, without executing anything, and writes its dvc.lock."""

from pathlib import Path
from typing import Any

from dvc.dvcfile import Lockfile
from dvc.repo import Repo
from dvc.stage.loader import StageLoader

from pipelines.cluster.files import DamagedOutputsError, fetch_outputs, withdraw_damaged
from pipelines.cluster.resolution import Resolution


def collect(repo: Repo, resolution: Resolution) -> None:
    """Bring the outputs of all stages found into the checkout, verified, and record them in dvc.lock.

    dvc.lock is the one that `dvc repro` would have written. Raises DamagedOutputsError, after withdrawing what is
    damaged so that its stages can be made again, and RemoteError.
    """
    try:
        fetch_outputs(repo, resolution.outputs())
    except DamagedOutputsError as error:
        withdraw_damaged(repo, resolution, error)
        raise
    write_locks(repo, resolution)


def write_locks(repo: Repo, resolution: Resolution) -> None:
    """Record the stages found in the dvc.lock beside their dvc.yaml; other stages' records stay."""
    by_file: dict[Path, list[Any]] = {}
    for name, entry in resolution.entries.items():
        stage = resolution.stage(name)
        StageLoader.fill_from_lock(stage, entry)
        by_file.setdefault(Path(stage.path).with_suffix(".lock"), []).append(stage)
    with repo.lock:
        for file, stages in by_file.items():
            Lockfile(repo, str(file)).dump_stages(stages)
