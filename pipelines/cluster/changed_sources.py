"""Data sets whose files have changed since a worker prepared them: their stage ``prepare`` runs again.

The run-cache does not have the files of data sets, which are outside of the repository. A flow therefore compares their
names, sizes and times, if its machine sees them: in `data` of the shared state, or at the same path.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from lzn.base.files import write_json
from pipelines.cluster.remote.files import retry_remote
from pipelines.cluster.remote.resolution import Resolution
from pipelines.dag import dependencies_in
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents

STAGE = "prepare"


def forget_changed_sources(*, dry_run: bool, stop: StopEvents, log: Log) -> None:
    """Delete the run-cache entries of data sets with changed files, in the checkout in the current folder.

    With `dry_run`, only log them.

    Raises:
        RemoteError: the remote cannot be used.
    """
    changed = _changed_sources(log)
    if not changed:
        return
    stages = {f"{STAGE}@{name}": source for name, source in changed.items()}
    with Repo(os.curdir) as repo:
        resolution = Resolution(repo, dependencies_in(repo, list(stages)))
        for stage, source in stages.items():
            log(f"the files of {stage.partition('@')[2]} have changed ({source['how']}): {stage} runs again")
            if not dry_run:
                retry_remote(functools.partial(_forget, resolution, stage), stop=stop, log=log)
                write_json(Path(source["file"]), source["found"])


def _forget(resolution: Resolution, stage: str) -> None:
    if resolution.find(stage):
        resolution.delete_entry(stage)


def _changed_sources(log: Log) -> Mapping[str, Any]:
    """Ask the program of the checkout in a process of its own: it imports torch, which takes seconds."""
    command = [sys.executable, "-m", "pipelines.sources", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    try:
        changed: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:  # the commit may have an older version of the program
        log(f"changed files of data sets are not noticed: {done.stderr.strip()[-500:]}")
        return {}
    return changed
