"""What a trained run can do, read from its ``run.json`` without torch, so that listing runs is fast."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from lzn.inference.class_names import class_index, class_name
from lzn.inference.errors import UserError


class Ability(StrEnum):
    """A task that a run may be able to do."""

    SAMPLE = "sample"
    CLASSIFY = "classify"
    EMBED = "embed"
    RECONSTRUCT = "reconstruct"


class UnsupportedAbilityError(UserError):
    """The run does not have the ability that the request needs."""


_WHY_NOT = {
    Ability.SAMPLE: "it has no image decoder",
    Ability.CLASSIFY: "it has no label anchors (only runs of the study joint have them)",
    Ability.EMBED: "it has no image encoder",
    Ability.RECONSTRUCT: "it has no image decoder",
}


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Facts about one trained seed.

    Attributes:
        name: the run's name.
        size: the size that the run belongs to, such as ``digits``.
        seed: the seed of the training.
        study: ``generation``, ``representation`` or ``joint``.
        data: the data set's name.
        num_classes: classes of the data set.
        class_names: their names in the order of the labels; empty without names.
        has_encoder: whether the model has an image encoder.
        has_decoder: whether the model has an image decoder.
        takes_class: whether the decoder takes a class.
        has_labels: whether the model has label anchors.
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
    class_names: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Extract the facts from the content of ``run.json`` (`lzn.runs.trained.TrainedConfiguration`).

        Raises:
            KeyError, TypeError, IndexError: the content is not valid.
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
            class_names=tuple(content.get("class_names", ())),
        )

    @property
    def abilities(self) -> tuple[Ability, ...]:
        """All abilities of the run."""
        has = {
            Ability.SAMPLE: self.has_decoder,
            Ability.CLASSIFY: self.has_labels,
            Ability.EMBED: self.has_encoder,
            Ability.RECONSTRUCT: self.has_decoder,
        }
        return tuple(ability for ability in Ability if has[ability])

    def class_name(self, label: int) -> str:
        """Return the name of a class; its index without names."""
        return class_name(self.class_names, label)

    def class_index(self, given: str | int) -> int:
        """Return the index of a class that is given by its name or index; see `lzn.inference.class_names`.

        Raises:
            UserError: the class is ambiguous or unknown.
        """
        return class_index(given, self.class_names, num_classes=self.num_classes, run=self.name)

    def require(self, ability: Ability, *, others: Iterable["RunFacts"] = ()) -> None:
        """Check that the run has an ability.

        Args:
            ability: the ability that is needed.
            others: other runs; the message names those with the ability.

        Raises:
            UnsupportedAbilityError: the run does not have it; the message says why.
        """
        if ability in self.abilities:
            return
        able = sorted({other.name for other in others if ability in other.abilities})
        advice = f"runs that can: {', '.join(able)}" if able else f"it can {', '.join(self.abilities)}"
        raise UnsupportedAbilityError(f"run {self.name} cannot {ability}: {_WHY_NOT[ability]}; {advice}")
