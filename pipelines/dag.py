"""DVC's graph of stages, as DVC itself reads it, in a form that can be scheduled."""

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

    name: DVC's address of the stage from the current folder (`train@rf`).
    dependencies: addresses of the stages whose outputs it reads.
    needs_check: False where DVC's status says that neither the stage nor anything above it has changed.
    lock_file, lock_key: where its hashes are recorded; None and "" for a `.dvc` file, which holds its own.
    """

    name: str
    dependencies: frozenset[str]
    needs_check: bool
    lock_file: Path | None
    lock_key: str

    @staticmethod
    def unchecked(name: str, dependencies: frozenset[str] = frozenset()) -> "StageNode":
        """A stage of which nothing is known but its place in the DAG."""
        return StageNode(name, dependencies, needs_check=True, lock_file=None, lock_key="")


def read_dag(targets: Sequence[str] = DEFAULT_TARGETS) -> tuple[StageNode, ...]:
    """Read the stages that `dvc repro TARGETS` would visit, in the order in which it would visit them.

    Targets are what `dvc repro` takes: a `dvc.yaml`, a stage, a family (`train` for all of `train@...`).
    Raises DvcException where DVC would: no repository, no such target, an invalid dvc.yaml.
    """
    with Repo(os.curdir) as repo:
        graph = get_active_graph(repo.index.graph)
        planned = plan_repro(graph, collect_stages(repo, targets))
        changed = set(repo.status(targets=[stage.addressing for stage in planned])) if planned else set()
        return tuple(_nodes(planned, graph, changed))


def read_dependencies(targets: Sequence[str] = DEFAULT_TARGETS) -> dict[str, frozenset[str]]:
    """Read the stages that `dvc repro TARGETS` would visit, in that order, each with those whose outputs it reads.

    Unlike `read_dag` this looks at no file but dvc.yaml and params.yaml. Raises DvcException as that does.
    """
    with Repo(os.curdir) as repo:
        return dependencies_in(repo, targets)


def dependencies_in(repo: Repo, targets: Sequence[str] = DEFAULT_TARGETS) -> dict[str, frozenset[str]]:
    """`read_dependencies` in an open repository, whose stages, once read, stay read."""
    graph = get_active_graph(repo.index.graph)
    planned = plan_repro(graph, collect_stages(repo, targets))
    return {stage.addressing: _dependencies(stage, graph) for stage in planned}


def cached_dependencies_in(repo: Repo, targets: Sequence[str] = DEFAULT_TARGETS) -> dict[str, frozenset[str]]:
    """As `dependencies_in`, without the stages that another machine cannot restore: those with an uncached output."""
    cached = {stage.addressing for stage in repo.index.stages if all(out.use_cache for out in stage.outs)}
    return {
        name: needed & cached for name, needed in dependencies_in(repo, targets).items() if name in cached
    }


def _dependencies(stage: Any, graph: "DiGraph[Any]") -> frozenset[str]:
    return frozenset(dependency.addressing for dependency in graph.successors(stage))


def _nodes(planned: "Sequence[Any]", graph: "DiGraph[Any]", changed: set[str]) -> Iterable[StageNode]:
    """Yield nodes, dependencies first, so that a change is handed down to everything below it."""
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
