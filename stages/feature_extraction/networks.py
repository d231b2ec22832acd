"""The feature network of a data set: its own classifier, Inception, or none; parameters and files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from lzn.base.files import file_sha256, load_weights, save_weights, write_json
from lzn.base.sections import ParamsError, Section
from lzn.metrics.clip_weights import CONFIGURATION, find_clip_weights, weights_file
from lzn.metrics.inception_weights import find_inception_weights
from lzn.metrics.weights_files import MissingWeightsError
from lzn.networks import ImageClassifier
from lzn.training import TrainingSchedule
from stages.runtime.project_root import in_project

DESCRIPTION = "network.json"
WEIGHTS = "weights.safetensors"


class ClassifierFeatures(Section):
    """A small classifier trained on the data set itself; distances in its features are never called FID."""

    kind: Literal["classifier"]
    base_channels: Annotated[int, Field(ge=8)]
    feature_dim: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0)]
    training: TrainingSchedule


class ClipFeatures(Section):
    """CLIP's image network, whose embeddings CMMD compares."""

    weights: str | None = None
    """Folder of its weights; None: the folder in LZN_CLIP_WEIGHTS, else Hugging Face's cache, else a download."""


class InceptionFeatures(Section):
    """The Inception network of FID (section 9); for natural images."""

    kind: Literal["inception"]
    weights: str | None = None
    """File of its weights; None: the file in LZN_INCEPTION_WEIGHTS, else torch.hub's cache, else a download."""
    clip: ClipFeatures | None = None
    """None: CMMD is not measured."""


class NoFeatures(Section):
    """No network: only numbers that need no features are measured."""

    kind: Literal["none"]


FeaturesParams = Annotated[ClassifierFeatures | InceptionFeatures | NoFeatures, Field(discriminator="kind")]


@dataclass(frozen=True)
class ClassifierShape:
    """Keyword arguments of `ImageClassifier`."""

    image_size: int
    image_channels: int
    num_classes: int
    base_channels: int
    feature_dim: int

    def build(self) -> ImageClassifier:
        """Return the classifier with initial weights."""
        return ImageClassifier(**asdict(self))


def write_classifier(folder: Path, shape: ClassifierShape, classifier: ImageClassifier) -> None:
    """Write weights and shape."""
    save_weights(classifier, folder / WEIGHTS)
    write_json(folder / DESCRIPTION, {"kind": "classifier", **asdict(shape)})


def read_classifier(folder: Path, description: Mapping[str, Any]) -> ImageClassifier:
    """Return the classifier in evaluation mode."""
    shape = ClassifierShape(**{name: value for name, value in description.items() if name != "kind"})
    return load_weights(shape.build().eval(), folder / WEIGHTS)


def classifier_sha256(folder: Path) -> str:
    """Return the hash of the classifier's weights."""
    return file_sha256(folder / WEIGHTS)


def write_inception(folder: Path, params: InceptionFeatures) -> None:
    """Write which weights are used, by their hashes; the files themselves are not copied.

    Raises:
        ParamsError: the weights are missing and cannot be downloaded; the message says where to get them, and what can
            be measured without them.
    """
    clip = None
    if params.clip is not None:
        clip = {"weights": params.clip.weights, **_clip_hashes(_find_clip(params.clip.weights))}
    digest = file_sha256(_find_inception(params.weights))
    content = {"kind": "inception", "weights": params.weights, "sha256": digest, "clip": clip}
    write_json(folder / DESCRIPTION, content)


def inception_weights(description: Mapping[str, Any]) -> Path:
    """Return the file of Inception's weights that `write_inception` saw.

    Raises:
        ParamsError: it is missing, or it has changed.
    """
    file = _find_inception(description["weights"])
    if file_sha256(file) != description["sha256"]:
        raise ParamsError(f"{file} is not the file that the stage 'features' saw: run this stage again")
    return file


def clip_weights(description: Mapping[str, Any]) -> Path | None:
    """Return the folder of CLIP's weights that `write_inception` saw; None if CMMD is not measured.

    Raises:
        ParamsError: it is missing, or it has changed.
    """
    clip = description["clip"]
    if clip is None:
        return None
    folder = _find_clip(clip["weights"])
    if {"weights": clip["weights"], **_clip_hashes(folder)} != clip:
        raise ParamsError(
            f"{folder} does not hold the files that the stage 'features' saw: run this stage again"
        )
    return folder


def write_none(folder: Path) -> None:
    """Write that the data set has no feature network."""
    write_json(folder / DESCRIPTION, {"kind": "none"})


def read_network_description(folder: Path) -> dict[str, Any]:
    """Read the file that a ``write_`` function wrote."""
    description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
    return description


def _find_inception(weights: str | None) -> Path:
    try:
        return find_inception_weights(None if weights is None else in_project(weights))
    except MissingWeightsError as error:
        raise ParamsError(
            f"{error} To run without them set features to {{kind: none}}: then everything except distances between "
            "images is measured."
        ) from error


def _find_clip(weights: str | None) -> Path:
    try:
        return find_clip_weights(None if weights is None else in_project(weights))
    except MissingWeightsError as error:
        raise ParamsError(
            f"{error} To run without them set clip to null: then everything except CMMD is measured."
        ) from error
    except ValueError as error:  # damaged
        raise ParamsError(str(error)) from error


def _clip_hashes(folder: Path) -> dict[str, str]:
    return {
        "sha256": file_sha256(weights_file(folder)),
        "configuration_sha256": file_sha256(folder / CONFIGURATION),
    }
