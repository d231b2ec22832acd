"""One request to a served run: its schema, its checks, its answer; nothing here knows MLflow.

A row holds one image, as the base64 of an image file. Parameters say what is asked:

    task         classify (default), embed, reconstruct, sample
    num_images   sample: how many
    label        sample and reconstruct: the class; -1: none, or the run's own choice
    steps        sample and reconstruct: Euler steps of the image ODE
    tolerance    sample and reconstruct: that of RK45, which is taken instead; 0: Euler
    seed         of what is drawn
    fit          none, crop, pad: images that are not as the model wants them are refused, or converted
"""

import base64
import binascii
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from lzn.inference.abilities import Ability
from lzn.inference.answers import Images, classify, embed
from lzn.inference.errors import UserError
from lzn.inference.fitting import Fitting
from lzn.inference.given_images import GivenImage, ImageRules, decode_images
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.pictures import as_picture
from lzn.inference.reconstruction import reconstruct
from lzn.inference.sampling import DEFAULT_STEPS, OdeSettings, SampleRequest, draw_samples

Choice = TypeVar("Choice", bound=StrEnum)
MAX_IMAGES = 256
"""Of one request."""
NO_LABEL = -1
NO_FIT = "none"


@dataclass(frozen=True, kw_only=True)
class RequestParams:
    """The parameters of a request, with their defaults: see the module."""

    task: str = Ability.CLASSIFY.value
    num_images: int = 1
    label: int = NO_LABEL
    steps: int = DEFAULT_STEPS
    tolerance: float = 0.0
    seed: int = 0
    fit: str = NO_FIT

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "RequestParams":
        """Parameters from a request.

        Raises:
            UserError: a name is unknown.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise UserError(f"unknown params {', '.join(unknown)}; there are {', '.join(names)}")
        return cls(**given)

    @property
    def ability(self) -> Ability:
        """The task.

        Raises:
            UserError: it is none.
        """
        return _member(Ability, self.task, "task")

    @property
    def fitting(self) -> Fitting | None:
        """How images are converted.

        Raises:
            UserError: it is none of the ways.
        """
        return None if self.fit == NO_FIT else _member(Fitting, self.fit, "fit", NO_FIT)

    @property
    def class_label(self) -> int | None:
        """The class, None where none is asked for."""
        return None if self.label == NO_LABEL else self.label

    @property
    def ode(self) -> OdeSettings:
        """How the image ODE is solved."""
        return OdeSettings(num_steps=self.steps, tolerance=self.tolerance or None)


def answer(run: LoadedRun, encoded: Sequence[object], params: RequestParams) -> list[dict[str, Any]]:
    """Answer a request: one row for each image that was given, or drawn.

    Args:
        run: what is asked.
        encoded: base64 of each row's image file; sampling takes none.
        params: what is asked for.

    Raises:
        UserError: an image or a parameter cannot be used, or the run cannot do it.
    """
    ability = params.ability
    run.facts.require(ability)
    if ability is Ability.SAMPLE:
        return _sample(run, params)
    rules = ImageRules(shape=run.image_shape, fitting=params.fitting, max_images=MAX_IMAGES)
    rules.require_number(len(encoded))
    images = decode_images([_given(row, content) for row, content in enumerate(encoded)], rules)
    return _ANSWERS[ability](run, images, params)


def _sample(run: LoadedRun, params: RequestParams) -> list[dict[str, Any]]:
    if params.num_images > MAX_IMAGES:
        raise UserError(f"num_images {params.num_images}: at most {MAX_IMAGES} in one request")
    classes = () if params.class_label is None else (params.class_label,)
    request = SampleRequest(num_images=params.num_images, classes=classes, seed=params.seed, ode=params.ode)
    samples = draw_samples(run, request)
    labels = [None] * len(samples.images) if samples.labels is None else samples.labels.tolist()
    rows = zip(as_base64(samples.images), labels, strict=True)
    return [{"image": image, "label": label} for image, label in rows]


def _classify(run: LoadedRun, images: Images, params: RequestParams) -> list[dict[str, Any]]:
    found = classify(run, images)
    rows = zip(found.labels.tolist(), found.shares.tolist(), strict=True)
    return [{"label": label, "shares": shares} for label, shares in rows]


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


def _given(row: int, content: object) -> GivenImage:
    name = f"the image of row {row}"
    if not isinstance(content, str):
        raise UserError(f"{name} is missing: give the base64 of an image file in the column image")
    try:
        return GivenImage(name, base64.b64decode(content, validate=True))
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{name} is not base64 ({error}): encode the image file's bytes") from error


def as_base64(images: Images) -> list[str]:
    """Each image as the base64 of a PNG file."""
    encoded = []
    for image in images:
        stream = io.BytesIO()
        as_picture(image).save(stream, "PNG")
        encoded.append(base64.b64encode(stream.getvalue()).decode("ascii"))
    return encoded


def _member(choices: type[Choice], value: str, name: str, *others: str) -> Choice:
    if value not in [choice.value for choice in choices]:
        listed = ", ".join([*others, *(choice.value for choice in choices)])
        raise UserError(f"{name} {value!r} is unknown; there are {listed}")
    return choices(value)
