"""The order in which the stages of a DAG start, and the result of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from graphlib import TopologicalSorter

from pipelines.dag import StageNode


class Outcome(Enum):
    """How a stage ended in one run of a flow."""

    DONE = "done"
    UP_TO_DATE = "up to date"
    FAILED = "failed"
    STOPPED = "stopped"
    NOT_RUN = "not run"

    @property
    def releases_dependents(self) -> bool:
        """Whether stages that depend on this one may run."""
        return self in {Outcome.DONE, Outcome.UP_TO_DATE}


@dataclass(frozen=True)
class StageResult:
    """The result of a stage.

    Attributes:
        name: DVC's address of the stage.
        outcome: how it ended.
        seconds: the wall time.
        error: the error message; empty if there is none.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    error: str = ""


class StageFailedError(RuntimeError):
    """A stage failed. The message is its error."""

    def __init__(self, result: StageResult) -> None:
        super().__init__(result.error)
        self.result = result


class Schedule:
    """Return stages whose dependencies are done, one by one. Dependents of a failed stage are never returned.

    Of the ready stages, the one with the longest chain of dependents comes first, then DVC's order. This avoids
    a long chain of stages on a single worker at the end.
    """

    def __init__(self, stages: Sequence[StageNode]) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._sorter = TopologicalSorter({stage.name: stage.dependencies for stage in stages})
        self._sorter.prepare()
        self._rank = {name: -length for name, length in chain_lengths(stages).items()}
        self._ready: list[str] = []
        self._results: dict[str, StageResult] = {}

    def next_stage(self) -> StageNode | None:
        """Return a stage to start now. Return None if all others wait for a running stage or depend on a failed one."""
        self._ready += self._sorter.get_ready()
        if not self._ready:
            return None
        position = {name: index for index, name in enumerate(self._stages)}
        name = min(self._ready, key=lambda ready: (self._rank[ready], position[ready]))
        self._ready.remove(name)
        return self._stages[name]

    def finish(self, result: StageResult) -> None:
        """Record the result of a stage that `next_stage` returned."""
        self._results[result.name] = result
        if result.outcome.releases_dependents:
            self._sorter.done(result.name)

    def results(self) -> tuple[StageResult, ...]:
        """Return the results of all stages in DVC's order. A stage without a result counts as not run."""
        return tuple(
            self._results.get(name, StageResult(name=name, outcome=Outcome.NOT_RUN)) for name in self._stages
        )


def chain_lengths(stages: Sequence[StageNode]) -> Mapping[str, int]:
    """Return, for each stage, the number of stages on the longest chain that starts at it and follows dependents."""
    lengths = {stage.name: 1 for stage in stages}
    for stage in reversed(stages):  # dependents come after their dependencies
        for dependency in stage.dependencies:
            lengths[dependency] = max(lengths[dependency], lengths[stage.name] + 1)
    return lengths


def direct_dependencies(stages: Sequence[StageNode]) -> Mapping[str, frozenset[str]]:
    """Return, for each stage, its dependencies without those that another of its dependencies needs, too."""
    upstream: dict[str, frozenset[str]] = {}
    direct: dict[str, frozenset[str]] = {}
    for stage in stages:  # dependencies come first
        known = stage.dependencies & upstream.keys()
        indirect = frozenset[str]().union(*(upstream[name] for name in known))
        upstream[stage.name] = stage.dependencies | indirect
        direct[stage.name] = stage.dependencies - indirect
    return direct


def summary_table(results: Sequence[StageResult]) -> str:
    """Return one line per stage: address, outcome, and seconds if it ran."""
    width = max((len(result.name) for result in results), default=0)
    return "\n".join(
        f"{result.name:<{width}}  {result.outcome.value}"
        + (f" in {result.seconds:.1f} s" if result.seconds else "")
        for result in results
    )


def failure_message(results: Sequence[StageResult]) -> str:
    """Return the errors of the failed stages and the names of stages that did not run; empty if none failed."""
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    if not failed:
        return ""
    skipped = [result.name for result in results if result.outcome is Outcome.NOT_RUN]
    not_run = [f"Not run, because a stage before them failed: {', '.join(skipped)}."] if skipped else []
    return "\n".join([result.error for result in failed] + not_run)
