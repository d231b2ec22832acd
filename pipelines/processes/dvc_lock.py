"""dvc.lock as `dvc repro` writes it, although stages that run in parallel end in any order."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update

from pipelines.dag import StageNode


@contextmanager
def dvc_lock_in_plan_order(stages: Sequence[StageNode]) -> Iterator[None]:
    """After the block, move entries that it added to dvc.lock into the order of `dvc repro`.

    dvc.lock is committed, so its content must not depend on which stage ended first.
    """
    files = sorted({stage.lock_file for stage in stages if stage.lock_file is not None})
    former = {file: _lock_keys(file) for file in files}
    try:
        yield
    finally:
        for file in files:
            planned = [stage.lock_key for stage in stages if stage.lock_file == file]
            _reorder(file, ordered_keys(former[file], planned, _lock_keys(file)))


def ordered_keys(former: Sequence[str], planned: Sequence[str], present: Sequence[str]) -> list[str]:
    """Order the present keys: former keys in their order, then new keys as planned, then the rest."""
    order = dict.fromkeys([*former, *planned, *present])
    return [key for key in order if key in set(present)]


def _lock_keys(file: Path) -> list[str]:
    return list(load_yaml(str(file)).get("stages", {})) if file.exists() else []


def _reorder(file: Path, keys: Sequence[str]) -> None:
    if keys == _lock_keys(file):
        return
    with Repo(os.curdir) as repo, repo.lock:
        # Loaded as DVC does for an update, so that numbers and quotes keep their form.
        content = parse_yaml_for_update(file.read_text(encoding="utf-8"), str(file))
        for key in keys:
            content["stages"].move_to_end(key)
        from lzn.base.files import atomic_write  # noqa: PLC0415 - it imports torch, which takes 3 s

        with atomic_write(file) as partial:
            partial.write_text(dumps_yaml(content), encoding="utf-8")
