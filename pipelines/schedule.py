"""The order in which the stages of a DAG may start, and what became of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from graphlib import TopologicalSorter

from pipelines.dag import StageNode


class Outcome(Enum):
    """What became of a stage in one run of the flow."""

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
    """name: the stage's address; seconds: wall time; error: why it did not end well, else empty."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    error: str = ""


class StageFailedError(RuntimeError):
    """A stage failed; the message is its own error."""

    def __init__(self, result: StageResult) -> None:
        super().__init__(result.error)
        self.result = result


class Schedule:
    """Hands out stages whose dependencies are done; a failed stage's dependents are never handed out.

    Among stages that are ready, the one with the longest chain of stages behind it comes first (then DVC's
    order): that keeps the end of a run from being one long chain on a single worker.
    """

    def __init__(self, stages: Sequence[StageNode]) -> None:
        self._stages = {stage.name: stage for stage in stages}
        self._sorter = TopologicalSorter({stage.name: stage.dependencies for stage in stages})
        self._sorter.prepare()
        self._rank = {name: -length for name, length in chain_lengths(stages).items()}
        self._ready: list[str] = []
        self._results: dict[str, StageResult] = {}

    def next_stage(self) -> StageNode | None:
        """Return a stage to start now, or None if every other stage waits for a running or a failed one."""
        self._ready += self._sorter.get_ready()
        if not self._ready:
            return None
        position = {name: index for index, name in enumerate(self._stages)}
        name = min(self._ready, key=lambda ready: (self._rank[ready], position[ready]))
        self._ready.remove(name)
        return self._stages[name]

    def finish(self, result: StageResult) -> None:
        """Record how a stage that was handed out ended."""
        self._results[result.name] = result
        if result.outcome.releases_dependents:
            self._sorter.done(result.name)

    def results(self) -> tuple[StageResult, ...]:
        """Every stage's result in DVC's order; stages that never finished are reported as not run."""
        return tuple(
            self._results.get(name, StageResult(name=name, outcome=Outcome.NOT_RUN)) for name in self._stages
        )


def chain_lengths(stages: Sequence[StageNode]) -> Mapping[str, int]:
    """Number of stages on the longest chain that starts at each stage and follows its dependents."""
    lengths = {stage.name: 1 for stage in stages}
    for stage in reversed(stages):  # dependents come after their dependencies
        for dependency in stage.dependencies:
            lengths[dependency] = max(lengths[dependency], lengths[stage.name] + 1)
    return lengths


def summary_table(results: Sequence[StageResult]) -> str:
    """One line a stage: address, outcome, seconds where it ran."""
    width = max((len(result.name) for result in results), default=0)
    return "\n".join(
        f"{result.name:<{width}}  {result.outcome.value}"
        + (f" in {result.seconds:.1f} s" if result.seconds else "")
        for result in results
    )


def failure_message(results: Sequence[StageResult]) -> str:
    """The failed stages' own errors and the stages not run because of them; empty if none failed."""
    failed = [result for result in results if result.outcome is Outcome.FAILED]
    if not failed:
        return ""
    skipped = [result.name for result in results if result.outcome is Outcome.NOT_RUN]
    not_run = [f"Not run, since they depend on it: {', '.join(skipped)}."] if skipped else []
    return "\n".join([result.error for result in failed] + not_run)
