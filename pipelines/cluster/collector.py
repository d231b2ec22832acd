"""Brings what workers made into a checkout, without executing anything, and writes its dvc.lock.

    python -m pipelines.cluster.collector [--targets train measure@rf ...]

does so in one's own clone, for the size in force, from the clone's default DVC remote; `dvc repro` then copies the
small numbers into results/. Exit code: 0 if everything is there, 1 if something was not made, is damaged, or cannot
be had.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.config import NoRemoteError
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage.loader import StageLoader

from lzn.base.sections import ParamsError
from pipelines.cluster.remote.files import DamagedOutputsError, delete_damaged, fetch_outputs
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import DiskError, RemoteError
from pipelines.dag import DEFAULT_TARGETS, cached_dependencies_in
from pipelines.processes.exclusive_project import ProjectBusyError, exclusive_project


def collect(repo: Repo, resolution: Resolution) -> None:
    """Bring the outputs of all stages found into the checkout, verified, and record them in dvc.lock.

    dvc.lock is the one that `dvc repro` would have written. Raises DamagedOutputsError, after withdrawing what is
    damaged so that its stages can be made again, and RemoteError.
    """
    try:
        fetch_outputs(repo, resolution.outputs())
    except DamagedOutputsError as error:
        delete_damaged(repo, resolution, error)
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


def collect_here(targets: Sequence[str]) -> tuple[str, ...]:
    """Collect into the workspace in the current folder; return the stages that were not made, the first ones each.

    Raises what `collect` does, NoRemoteError without a default remote, and ProjectBusyError while a flow runs here.
    """
    with exclusive_project(), Repo(os.curdir) as repo:
        dependencies = cached_dependencies_in(repo, targets or DEFAULT_TARGETS)
        resolution = Resolution(repo, dependencies)
        missing = resolution.find_all(dependencies)
        collect(repo, resolution)
    print(f"Collected {len(resolution.entries)} of {len(dependencies)} stages.")
    return missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.cluster.collector", description=__doc__)
    parser.add_argument("--targets", nargs="+", default=[], help="stages or families (default: all)")
    options = parser.parse_args(arguments)
    try:
        missing = collect_here(options.targets)
    except NoRemoteError:
        reason = "this clone has no default DVC remote: dvc remote add --local --default cluster s3://BUCKET/PREFIX"
    except (
        DamagedOutputsError,
        DiskError,
        DvcException,
        ParamsError,
        RemoteError,
        ProjectBusyError,
    ) as error:
        reason = str(error)
    else:
        reason = (
            f"not made with the code and parameters in this clone: {', '.join(missing)}" if missing else ""
        )
    if reason:
        print(f"error: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
