"""Requests to a served run: their parameters, checks and answers. Nothing here knows MLflow.

A row holds one image as the base64 of an image file, with or without line breaks, or as a data URI. The parameters
have the names of the options of ``lzn``:

    task         classify (default), embed, reconstruct, sample
    num          sample: number of images
    class        sample, reconstruct: the class by name or index; empty leaves it out
    steps        sample, reconstruct: Euler steps of the image ODE
    rk45         sample, reconstruct: tolerance of RK45, which replaces Euler; 0 keeps Euler
    seed         random seed
    fit          images in another format than the model's: none refuses them; crop and pad convert them
    bit_depth    with fit: used bits of grey images with 16 bits; 0: 16, and images that seem to use fewer are refused
    first_frame  read the first frame of animations and the first page of files with several pages
"""

import base64
import binascii
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar

from lzn.data.decoding import DecodingRules
from lzn.inference.abilities import Ability
from lzn.inference.classification import classify
from lzn.inference.embedding import embed
from lzn.inference.errors import UserError
from lzn.inference.fitting import Fitting
from lzn.inference.images import Images, to_pil_image
from lzn.inference.input_images import ImageRules, InputImage, decode_images
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.reconstruction import reconstruct
from lzn.inference.sampling import DEFAULT_STEPS, OdeSettings, SampleRequest, choose_classes, draw_samples

Choice = TypeVar("Choice", bound=StrEnum)
MAX_IMAGES = 256
"""Largest number of images in one request."""
MAX_TOTAL_PIXELS = 100_000_000
"""Largest number of pixels of all images of a request."""
MAX_EVALUATIONS = 100_000
"""Largest number of images times Euler steps in one request."""
MAX_SECONDS = 50
"""Longest solution of the image ODE; MLflow's server itself gives up after 60 seconds."""
NO_CLASS = ""
_DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
NO_FIT = "none"


@dataclass(frozen=True, kw_only=True)
class RequestParams:
    """The parameters of a request with their defaults: see the module's docstring; ``class_`` is ``class``."""

    task: str = Ability.CLASSIFY.value
    num: int = 1
    class_: str = NO_CLASS
    steps: int = DEFAULT_STEPS
    rk45: float = 0.0
    seed: int = 0
    fit: str = NO_FIT
    bit_depth: int = 0
    first_frame: bool = False

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the parameters in requests."""
        return tuple(field.name.rstrip("_") for field in fields(cls))

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> "RequestParams":
        """Read the parameters of a request.

        Raises:
            UserError: a name is unknown.
        """
        check_names(given)
        return cls(**{"class_" if name == "class" else name: value for name, value in given.items()})

    def as_mapping(self) -> dict[str, Any]:
        """Return the parameters by their names in requests."""
        return dict(zip(self.names(), asdict(self).values(), strict=True))

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
    def classes(self) -> tuple[str, ...]:
        """The class by name or index; empty if it is left out."""
        return () if self.class_ == NO_CLASS else (self.class_,)

    @property
    def decoding(self) -> DecodingRules:
        """How image files are decoded.

        Raises:
            UserError: the bit depth is out of range.
        """
        try:
            return DecodingRules(bit_depth=self.bit_depth or None, first_frame=self.first_frame)
        except ValueError as error:
            raise UserError(str(error)) from error

    @property
    def ode(self) -> OdeSettings:
        """How the image ODE is solved.

        Raises:
            UserError: a value is out of range.
        """
        return OdeSettings(num_steps=self.steps, tolerance=self.rk45 or None, max_seconds=MAX_SECONDS)


def check_names(given: Iterable[str]) -> None:
    """Check the names of parameters.

    Raises:
        UserError: a name is unknown; the message lists the known ones.
    """
    names = RequestParams.names()
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise UserError(f"unknown params {', '.join(unknown)}: use {', '.join(names)}")


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
    rules = ImageRules(
        shape=run.image_shape,
        fitting=params.fitting,
        max_images=MAX_IMAGES,
        max_total_pixels=MAX_TOTAL_PIXELS,
        decoding=params.decoding,
    )
    rules.require_number(len(encoded))
    if ability is Ability.RECONSTRUCT:
        params.ode.require_work(2 * len(encoded), max_evaluations=MAX_EVALUATIONS)  # to noise and back
    images = decode_images([_input_image(row, content) for row, content in enumerate(encoded)], rules)
    return _ANSWERS[ability](run, images, params)


def _sample(run: LoadedRun, params: RequestParams) -> list[dict[str, Any]]:
    if params.num > MAX_IMAGES:
        raise UserError(f"num must be at most {MAX_IMAGES} in one request, got {params.num}")
    params.ode.require_work(params.num, max_evaluations=MAX_EVALUATIONS)
    classes = choose_classes(run, params.classes)
    request = SampleRequest(num_images=params.num, classes=classes, seed=params.seed, ode=params.ode)
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
    label = next(iter(choose_classes(run, params.classes)), None)
    found = reconstruct(run, images, label=label, seed=params.seed, ode=params.ode)
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
    text = "".join(content.split())  # programs break base64 into lines
    header = _DATA_URI.match(text)
    if header is not None:
        text = text[header.end() :]
    elif text.startswith("data:"):
        raise UserError(f"{name} is a data URI without base64: encode the bytes of the image file as base64")
    try:
        return InputImage(name, base64.b64decode(text, validate=True))
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
