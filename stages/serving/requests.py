"""Requests to a served run: their parameters, checks and answers. Nothing here knows MLflow.

A row holds one image as the base64 of an image file. The parameters are:

    task         classify (default), embed, reconstruct, sample
    num_images   sample: number of images
    label        sample, reconstruct: the class; -1 leaves it out
    steps        sample, reconstruct: Euler steps of the image ODE
    tolerance    sample, reconstruct: tolerance of RK45, which replaces Euler; 0 keeps Euler
    seed         random seed
    fit          images in another format than the model's: none refuses them; crop and pad convert them
"""

import base64
import binascii
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from lzn.inference.abilities import Ability
from lzn.inference.classification import classify
from lzn.inference.embedding import embed
from lzn.inference.errors import UserError
from lzn.inference.fitting import Fitting
from lzn.inference.images import Images, to_pil_image
from lzn.inference.input_images import ImageRules, InputImage, decode_images
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.reconstruction import reconstruct
from lzn.inference.sampling import DEFAULT_STEPS, OdeSettings, SampleRequest, draw_samples

Choice = TypeVar("Choice", bound=StrEnum)
MAX_IMAGES = 256
"""Largest number of images in one request."""
NO_LABEL = -1
NO_FIT = "none"


@dataclass(frozen=True, kw_only=True)
class RequestParams:
    """The parameters of a request with their defaults: see the module's docstring."""

    task: str = Ability.CLASSIFY.value
    num_images: int = 1
    label: int = NO_LABEL
    steps: int = DEFAULT_STEPS
    tolerance: float = 0.0
    seed: int = 0
    fit: str = NO_FIT

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> "RequestParams":
        """Read the parameters of a request.

        Raises:
            UserError: a name is unknown.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise UserError(f"unknown params {', '.join(unknown)}: use {', '.join(names)}")
        return cls(**given)

    @property
    def ability(self) -> Ability:
        """The ability that the task needs.

        Raises:
            UserError: the task is unknown.
        """
        return _member(Ability, self.task, "task")

    @property
    def fitting(self) -> Fitting | None:
        """How images are converted, None if they are not.

        Raises:
            UserError: the value of ``fit`` is unknown.
        """
        return None if self.fit == NO_FIT else _member(Fitting, self.fit, "fit", NO_FIT)

    @property
    def class_label(self) -> int | None:
        """The class, None if it is left out."""
        return None if self.label == NO_LABEL else self.label

    @property
    def ode(self) -> OdeSettings:
        """How the image ODE is solved.

        Raises:
            UserError: a value is out of range.
        """
        return OdeSettings(num_steps=self.steps, tolerance=self.tolerance or None)


def answer_request(run: LoadedRun, encoded: Sequence[object], params: RequestParams) -> list[dict[str, Any]]:
    """Answer a request with one row for each given or sampled image.

    Args:
        run: the served run.
        encoded: base64 of the image file of each row; the task ``sample`` ignores it.
        params: the parameters.

    Raises:
        UserError: an image or a parameter cannot be used, or the run lacks the ability.
    """
    ability = params.ability
    run.facts.require(ability)
    if ability is Ability.SAMPLE:
        return _sample(run, params)
    rules = ImageRules(shape=run.image_shape, fitting=params.fitting, max_images=MAX_IMAGES)
    rules.require_number(len(encoded))
    images = decode_images([_input_image(row, content) for row, content in enumerate(encoded)], rules)
    return _ANSWERS[ability](run, images, params)


def _sample(run: LoadedRun, params: RequestParams) -> list[dict[str, Any]]:
    if params.num_images > MAX_IMAGES:
        raise UserError(f"num_images must be at most {MAX_IMAGES} in one request, got {params.num_images}")
    classes = () if params.class_label is None else (params.class_label,)
    request = SampleRequest(num_images=params.num_images, classes=classes, seed=params.seed, ode=params.ode)
    samples = draw_samples(run, request)
    labels = [None] * len(samples.images) if samples.labels is None else samples.labels.tolist()
    rows = zip(as_base64(samples.images), labels, strict=True)
    name_of = run.facts.class_name
    return [
        {"image": image, "label": label, "class": None if label is None else name_of(label)}
        for image, label in rows
    ]


def _classify(run: LoadedRun, images: Images, params: RequestParams) -> list[dict[str, Any]]:
    found = classify(run, images)
    rows = zip(found.labels.tolist(), found.shares.tolist(), strict=True)
    return [
        {"label": label, "class": run.facts.class_name(label), "shares": shares} for label, shares in rows
    ]


def _embed(run: LoadedRun, images: Images, params: RequestParams) -> list[dict[str, Any]]:
    found = embed(run, images, seed=params.seed)
    return [{name: array[row].tolist() for name, array in found.items()} for row in range(len(images))]


def _reconstruct(run: LoadedRun, images: Images, params: RequestParams) -> list[dict[str, Any]]:
    found = reconstruct(run, images, label=params.class_label, seed=params.seed, ode=params.ode)
    rows = zip(as_base64(found.images), found.errors.tolist(), strict=True)
    return [{"image": image, "error": error} for image, error in rows]


_ANSWERS: Mapping[Ability, Callable[[LoadedRun, Images, RequestParams], list[dict[str, Any]]]] = {
    Ability.CLASSIFY: _classify,
    Ability.EMBED: _embed,
    Ability.RECONSTRUCT: _reconstruct,
}


def _input_image(row: int, content: object) -> InputImage:
    name = f"the image of row {row}"
    if not isinstance(content, str):
        raise UserError(f"{name} is missing: give the base64 of an image file in the column image")
    try:
        return InputImage(name, base64.b64decode(content, validate=True))
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{name} is not base64 ({error}): encode the bytes of the image file") from error


def as_base64(images: Images) -> list[str]:
    """Encode each image as the base64 of a PNG file."""
    encoded = []
    for image in images:
        stream = io.BytesIO()
        to_pil_image(image).save(stream, "PNG")
        encoded.append(base64.b64encode(stream.getvalue()).decode("ascii"))
    return encoded


def _member(choices: type[Choice], value: str, name: str, *others: str) -> Choice:
    """Return the member with this value; messages also list ``others``."""
    if value not in [choice.value for choice in choices]:
        listed = ", ".join([*others, *(choice.value for choice in choices)])
        raise UserError(f"{name} {value!r} is unknown: use one of {listed}")
    return choices(value)
