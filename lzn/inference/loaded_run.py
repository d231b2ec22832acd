"""A trained model loaded for inference, with the reference anchors that define its zones.

The zone of an image depends on the other anchors of its batch. Here each image is processed alone, together with the
same reference anchors (`lzn.studies.compute_reference_anchors`), so its result does not depend on the other images of
the request. The stage ``classify`` measures the accuracy of this protocol as ``accuracy_alone``.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor

from lzn.base.devices import use_deterministic_operations
from lzn.base.sections import ParamsError
from lzn.data import ImageArray, dequantise
from lzn.data.prepared import read_description, read_split
from lzn.flow import AnchorBank
from lzn.inference.abilities import RunFacts
from lzn.inference.errors import UserError
from lzn.inference.images import Images
from lzn.runs.configuration import AnyRun, RepresentationRun
from lzn.runs.trained import CONFIGURATION, WEIGHTS, TrainedRun, read_trained
from lzn.studies import compute_reference_anchors

Result = TypeVar("Result")
OnProgress = Callable[[int], object]
"""Receives the number of images that were finished since the last call."""


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """One trained seed, loaded for inference.

    Attributes:
        trained: configuration and model; the model is on ``device``.
        facts: what the run can do.
        image_shape: (channels, height, width) of the images.
        device: the device of the model.
        reference_anchors: returns the reference anchors (m, q) on ``device``.
    """

    trained: TrainedRun
    facts: RunFacts
    image_shape: tuple[int, int, int]
    device: torch.device
    reference_anchors: Callable[[], Tensor]

    def latents(self, anchors: Tensor, noise: Tensor, *, alpha: float) -> Tensor:
        """Compute latents (m, q) in the zones of anchors (m, q), each with the reference anchors (Eq. 1 and 4)."""
        latent = self.trained.run.latent
        assert latent is not None
        return self._bank.latents(anchors, noise, alpha=alpha, solver=latent.solver.build())

    def map_images(
        self, function: Callable[[Tensor], Result], images: Images, on_progress: OnProgress
    ) -> list[Result]:
        """Call ``function`` with each image alone, as (1, c, h, w) in [-1, 1] on the run's device.

        The result for an image is then the same, bit for bit, whatever the other images are.
        """
        results = []
        for image in images:
            results.append(function(dequantise(image[None]).to(self.device)))
            on_progress(1)
        return results

    @functools.cached_property
    def _bank(self) -> AnchorBank:
        return AnchorBank(self.reference_anchors())


@dataclass(frozen=True, kw_only=True)
class _PreparedData:
    """A prepared data set whose files are read at the call of a method."""

    name: str
    folder_of: Callable[[str], Path]

    def image_shape(self) -> tuple[int, int, int]:
        """Read (channels, height, width).

        Raises:
            UserError: the data set is missing.
        """
        with self._missing_data_as_user_error():
            return read_description(self.folder_of(self.name)).image_shape

    def training_images(self) -> ImageArray:
        """Open all training images.

        Raises:
            UserError: the data set is missing.
        """
        with self._missing_data_as_user_error():
            return read_split(self.folder_of(self.name), "train").images

    @contextmanager
    def _missing_data_as_user_error(self) -> Iterator[None]:
        try:
            yield
        except ParamsError as error:
            raise UserError(
                f"{error}. Run dvc pull prepare@{self.name} or dvc repro prepare@{self.name}"
            ) from error


def choose_device(name: str = "auto") -> torch.device:
    """Return the device with this name; ``auto`` is a GPU if there is one. On CPUs, results are then repeatable.

    Raises:
        UserError: this machine has no such device.
    """
    has_cuda = torch.cuda.is_available()
    try:
        device = torch.device(("cuda" if has_cuda else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise UserError(f"there is no device {name!r}: use auto, cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not has_cuda:
        raise UserError("this machine has no CUDA device: use auto or cpu")
    if device.type == "cpu":
        use_deterministic_operations(device)
    return device


def open_seed(folder: Path, *, prepared_folder: Callable[[str], Path], device: torch.device) -> LoadedRun:
    """Open the folder of a trained seed, as the stage ``train`` writes it.

    Args:
        folder: holds ``run.json`` and ``weights.safetensors``.
        prepared_folder: returns the folder of a prepared data set by its name.
        device: the device of the model.

    Raises:
        UserError: a file is missing or from another version, or the data set is needed and missing.
    """
    trained = read_seed(folder)
    trained.model.to(device).requires_grad_(False)
    data = _PreparedData(name=trained.run.data, folder_of=prepared_folder)
    return LoadedRun(
        trained=trained,
        facts=RunFacts.from_json(trained.configuration.model_dump(mode="json")),
        image_shape=_shape_by_network(trained.run) or data.image_shape(),
        device=device,
        reference_anchors=functools.cache(
            lambda: compute_reference_anchors(
                trained.model.encoder,
                data.training_images(),
                training_batch_size=trained.run.training.batch_size,
                device=device,
            )
        ),
    )


def read_seed(folder: Path) -> TrainedRun:
    """Read configuration and model of a trained seed.

    Raises:
        UserError: a file is missing or from another version.
    """
    missing = [name for name in (CONFIGURATION, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} has no {' and no '.join(missing)}: name the folder of a trained seed, or get its files with "
            "dvc pull"
        )
    try:
        return read_trained(folder)
    except ParamsError as error:
        raise UserError(
            f"{error}\n{folder} was written by another version of the code: train the run again"
        ) from error
    except (RuntimeError, SafetensorError, OSError) as error:
        # Wrong names or shapes of tensors, or not a safetensors file.
        raise UserError(
            f"{folder / WEIGHTS} does not fit {folder / CONFIGURATION}: get both with dvc pull, or train the run "
            f"again. {error}"
        ) from error


def _shape_by_network(run: AnyRun) -> tuple[int, int, int] | None:
    """Return the image shape that the network has, or None for the representation encoder, which takes any size."""
    if isinstance(run, RepresentationRun):
        return None
    return run.unet.image_channels, run.unet.image_size, run.unet.image_size
