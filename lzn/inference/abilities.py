"""What a trained run can do, as its configuration tells without torch, so that listing runs is quick."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from lzn.inference.errors import UserError


class Ability(StrEnum):
    """What a run may be asked for."""

    SAMPLE = "sample"
    CLASSIFY = "classify"
    EMBED = "embed"
    RECONSTRUCT = "reconstruct"


class UnableError(UserError):
    """The run cannot do what it was asked for."""


_LACKS = {
    Ability.SAMPLE: "it has no image decoder",
    Ability.CLASSIFY: "it has no label anchors (runs of the study joint have)",
    Ability.EMBED: "it has no image encoder",
    Ability.RECONSTRUCT: "it has no image decoder",
}


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What the configuration of one trained seed says of it.

    Attributes:
        name: the run's name.
        size: the size that it belongs to.
        seed: the seed that it was trained with.
        study: ``generation``, ``representation`` or ``joint``.
        data: its data set's name.
        num_classes: of the data set.
        has_encoder: whether it turns images into anchors and latents.
        has_decoder: whether it turns noise into images.
        takes_class: whether the decoder is told a class.
        has_labels: whether labels have anchors.
    """

    name: str
    size: str
    seed: int
    study: str
    data: str
    num_classes: int
    has_encoder: bool
    has_decoder: bool
    takes_class: bool
    has_labels: bool

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """From the content of ``run.json``.

        Raises:
            KeyError: it is not that of a trained seed.
        """
        run = content["run"]
        study = run["study"]
        decodes = study == "generation" or (study == "joint" and run["generate"])
        return cls(
            name=content["name"],
            size=content["size"],
            seed=run["seeds"][0],
            study=study,
            data=run["data"],
            num_classes=content["num_classes"],
            has_encoder=run["latent"] is not None,
            has_decoder=decodes,
            takes_class=decodes and (study == "joint" or run["conditional"]),
            has_labels=study == "joint",
        )

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """All that it can do."""
        has = {
            Ability.SAMPLE: self.has_decoder,
            Ability.CLASSIFY: self.has_labels,
            Ability.EMBED: self.has_encoder,
            Ability.RECONSTRUCT: self.has_decoder,
        }
        return tuple(ability for ability in Ability if has[ability])

    def require(self, ability: Ability, *, others: Iterable["RunFacts"] = ()) -> None:
        """Check that the run can do it.

        Args:
            ability: what is asked for.
            others: runs that the message may recommend.

        Raises:
            UnableError: it cannot; the message says why, and which runs can.
        """
        if ability in self.abilities:
            return
        able = sorted({other.name for other in others if ability in other.abilities})
        advice = f"runs that can: {', '.join(able)}" if able else f"it can {', '.join(self.abilities)}"
        raise UnableError(f"run {self.name} cannot {ability}: {_LACKS[ability]}; {advice}")
