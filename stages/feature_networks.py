"""The network in whose features images of a data set are measured: its own classifier, Inception, or none."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lzn.metrics.inception_weights import MissingWeightsError, find_inception_weights
from lzn.networks import ImageClassifier
from lzn.training import TrainingSchedule
from stages.dataset_files import write_json
from stages.params import ParamsError, Section
from stages.weights import load_weights, save_weights

DESCRIPTION = "network.json"
WEIGHTS = "weights.safetensors"


class ClassifierFeatures(Section):
    """A small classifier that is trained on the data set itself; distances in its features are never called FID."""

    kind: Literal["classifier"]
    base_channels: Annotated[int, Field(ge=8)]
    feature_dim: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0)]
    training: TrainingSchedule


class InceptionFeatures(Section):
    """The Inception network of FID (section 9); for natural images."""

    kind: Literal["inception"]
    weights: str | None = None
    """File of its weights; None: where LZN_INCEPTION_WEIGHTS says, or the cache of torch.hub."""


class NoFeatures(Section):
    """None: only what needs no features is measured."""

    kind: Literal["none"]


FeaturesParams = Annotated[ClassifierFeatures | InceptionFeatures | NoFeatures, Field(discriminator="kind")]


@dataclass(frozen=True)
class ClassifierShape:
    """What rebuilds the classifier: the keyword arguments of `ImageClassifier`."""

    image_size: int
    image_channels: int
    num_classes: int
    base_channels: int
    feature_dim: int

    def build(self) -> ImageClassifier:
        """The classifier with its initial weights."""
        return ImageClassifier(**asdict(self))


def write_classifier(folder: Path, shape: ClassifierShape, classifier: ImageClassifier) -> None:
    """Write weights and shape."""
    save_weights(classifier, folder / WEIGHTS)
    write_json(folder / DESCRIPTION, {"kind": "classifier", **asdict(shape)})


def read_classifier(folder: Path, description: Mapping[str, Any]) -> ImageClassifier:
    """The classifier, in evaluation mode."""
    shape = ClassifierShape(**{name: value for name, value in description.items() if name != "kind"})
    return load_weights(shape.build().eval(), folder / WEIGHTS)


def write_inception(folder: Path, weights: str | None) -> None:
    """Write which weights are used, as their hash: the file itself stays where it is.

    Raises:
        ParamsError: there are none; the message says where to get them.
    """
    digest = _sha256(_find_weights(weights))
    write_json(folder / DESCRIPTION, {"kind": "inception", "weights": weights, "sha256": digest})


def inception_weights(description: Mapping[str, Any]) -> Path:
    """The file of the weights that `write_inception` saw.

    Raises:
        ParamsError: there is none any more, or it has changed.
    """
    file = _find_weights(description["weights"])
    if _sha256(file) != description["sha256"]:
        raise ParamsError(f"{file} is not the file that the stage 'features' saw: run that stage again")
    return file


def write_none(folder: Path) -> None:
    """Write that there is no network."""
    write_json(folder / DESCRIPTION, {"kind": "none"})


def read_network_description(folder: Path) -> dict[str, Any]:
    """What one of the ``write_`` functions wrote."""
    description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
    return description


def _find_weights(weights: str | None) -> Path:
    try:
        return find_inception_weights(None if weights is None else Path(weights))
    except MissingWeightsError as error:
        raise ParamsError(str(error)) from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
