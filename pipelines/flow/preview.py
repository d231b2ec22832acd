"""The list of stages that a flow is about to run, in its log and as an artifact."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipelines.flow.publishing import artifact_key, publish_markdown
from pipelines.processes.commands import Log


@dataclass(frozen=True)
class Preview:
    """The stages of a flow before it starts.

    Attributes:
        to_run: stages without outputs for their inputs. Some of them may turn out to be up to date, if a stage before
            them writes the same outputs as before.
        present: stages whose outputs exist.
    """

    to_run: tuple[str, ...]
    present: tuple[str, ...]

    @staticmethod
    def of(stages: Iterable[str], *, present: Collection[str]) -> "Preview":
        """Divide stages by whether they are in `present`; the order is kept."""
        names = tuple(stages)
        return Preview(
            tuple(name for name in names if name not in present),
            tuple(name for name in names if name in present),
        )

    @property
    def summary(self) -> str:
        """The number of stages of each kind."""
        return f"{len(self.to_run)} stages to run, {len(self.present)} already there"

    def __str__(self) -> str:
        rows = [f"  to run         {name}" for name in self.to_run]
        rows += [f"  already there  {name}" for name in self.present]
        return "\n".join([f"{self.summary}:", *rows])

    def markdown(self) -> str:
        """Return the lists in Markdown."""
        to_run = "\n".join(f"- `{name}`" for name in self.to_run) or "none"
        present = "\n".join(f"- `{name}`" for name in self.present) or "none"
        return f"{self.summary}.\n\n## To run\n\n{to_run}\n\n## Already there\n\n{present}\n"

    def publish(self, title: str, log: Log) -> None:
        """Create the artifact `stages-TITLE`."""
        publish_markdown(self.markdown(), artifact_key("stages", title), f"Stages: {self.summary}", log)
