"""DVC's graph of stages, read with DVC's own code, in a form that `pipelines.schedule` can order."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

if TYPE_CHECKING:
    from networkx import DiGraph

DEFAULT_TARGETS = ("dvc.yaml",)


@dataclass(frozen=True)
class StageNode:
    """One stage of the DAG.

    Attributes:
        name: DVC's address of the stage from the current folder (`train@rf`).
        dependencies: addresses of the stages whose outputs it reads.
        needs_check: False if, by DVC's status, neither the stage nor a stage that it depends on has changed.
        lock_file: the dvc.lock with its hashes; None for a `.dvc` file, which contains its own.
        lock_key: its key in `lock_file`; empty for a `.dvc` file.
    """

    name: str
    dependencies: frozenset[str]
    needs_check: bool
    lock_file: Path | None
    lock_key: str

    @staticmethod
    def unchecked(name: str, dependencies: frozenset[str] = frozenset()) -> "StageNode":
        """Return a stage whose status is unknown."""
        return StageNode(name, dependencies, needs_check=True, lock_file=None, lock_key="")


def read_dag(targets: Sequence[str] = DEFAULT_TARGETS) -> tuple[StageNode, ...]:
    """Read the stages that `dvc repro TARGETS` visits, in its order.

    Targets are as for `dvc repro`: a `dvc.yaml`, a stage, a family (`train` for all of `train@...`).

    Raises:
        DvcException: no repository, no such target, or an invalid dvc.yaml.
    """
    with Repo(os.curdir) as repo:
        graph = get_active_graph(repo.index.graph)
        planned = plan_repro(graph, collect_stages(repo, targets))
        changed = set(repo.status(targets=[stage.addressing for stage in planned])) if planned else set()
        return tuple(_nodes(planned, graph, changed))


def read_dependencies(targets: Sequence[str] = DEFAULT_TARGETS) -> dict[str, frozenset[str]]:
    """Read the stages that `dvc repro TARGETS` visits, in its order, each with the stages whose outputs it reads.

    Unlike `read_dag`, this reads only dvc.yaml and params.yaml.

    Raises:
        DvcException: as `read_dag`.
    """
    with Repo(os.curdir) as repo:
        return dependencies_in(repo, targets)


def dependencies_in(repo: Repo, targets: Sequence[str] = DEFAULT_TARGETS) -> dict[str, frozenset[str]]:
    """Do the same as `read_dependencies` in an open repository, which reads its stages once."""
    graph = get_active_graph(repo.index.graph)
    planned = plan_repro(graph, collect_stages(repo, targets))
    return {stage.addressing: _dependencies(stage, graph) for stage in planned}


def cached_dependencies_in(repo: Repo, targets: Sequence[str] = DEFAULT_TARGETS) -> dict[str, frozenset[str]]:
    """Do the same as `dependencies_in`, without stages with an uncached output: another machine cannot restore them."""
    cached = {stage.addressing for stage in repo.index.stages if all(out.use_cache for out in stage.outs)}
    return {
        name: needed & cached for name, needed in dependencies_in(repo, targets).items() if name in cached
    }


def _dependencies(stage: Any, graph: "DiGraph[Any]") -> frozenset[str]:
    return frozenset(dependency.addressing for dependency in graph.successors(stage))


def _nodes(planned: "Sequence[Any]", graph: "DiGraph[Any]", changed: set[str]) -> Iterable[StageNode]:
    """Yield nodes, dependencies first, so that a change reaches all stages that depend on it."""
    unsettled = set(changed)
    for stage in planned:
        dependencies = _dependencies(stage, graph)
        if dependencies & unsettled:
            unsettled.add(stage.addressing)
        yield StageNode(
            name=stage.addressing,
            dependencies=dependencies,
            needs_check=stage.addressing in unsettled,
            lock_file=_lock_file(stage),
            lock_key=getattr(stage, "name", None) or "",
        )


def _lock_file(stage: Any) -> Path | None:
    definition = Path(stage.path)
    return definition.with_suffix(".lock") if definition.suffix in {".yaml", ".yml"} else None
