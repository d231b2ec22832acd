"""A trained model loaded for inference, with the reference anchors that define its zones.

The zone of an image depends on the other anchors of its batch. Here each image is processed alone, together with the
same reference anchors (`lzn.studies.compute_reference_anchors`), so its result does not depend on the other images of
the request. The stage ``classify`` measures the accuracy of this as ``accuracy_alone``.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from lzn.base.sections import ParamsError
from lzn.data import ImageArray
from lzn.data.prepared import read_description, read_split
from lzn.flow import AnchorBank, Euler
from lzn.inference.abilities import RunFacts
from lzn.inference.errors import UserError
from lzn.runs.configuration import AnyRun, RepresentationRun
from lzn.runs.trained import CONFIGURATION, WEIGHTS, TrainedRun, read_trained
from lzn.studies import compute_reference_anchors

LABEL_SOLVER = Euler(num_steps=100)
"""Of the flow between latents and label anchors (section 5)."""


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """One trained seed.

    Attributes:
        trained: configuration and model; the model is on ``device``.
        facts: what it can do.
        image_shape: (channels, height, width) of its images.
        device: where it computes.
        reference_anchors: returns the reference anchors (m, q) on ``device``; computed at the first call.
    """

    trained: TrainedRun
    facts: RunFacts
    image_shape: tuple[int, int, int]
    device: torch.device
    reference_anchors: Callable[[], Tensor]

    def latents(self, anchors: Tensor, noise: Tensor, *, alpha: float) -> Tensor:
        """Latents (m, q) from the zones of anchors (m, q), each computed with the reference anchors (Eq. 1 and 4)."""
        latent = self.trained.run.latent
        assert latent is not None
        return self._bank.latents(anchors, noise, alpha=alpha, solver=latent.solver.build())

    @functools.cached_property
    def _bank(self) -> AnchorBank:
        return AnchorBank(self.reference_anchors())


@dataclass(frozen=True, kw_only=True)
class _DataOnDemand:
    """A prepared data set that is read when a run needs it."""

    name: str
    folder_of: Callable[[str], Path]

    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        with self._explaining():
            return read_description(self.folder_of(self.name)).image_shape

    def training_images(self) -> ImageArray:
        """All of them."""
        with self._explaining():
            return read_split(self.folder_of(self.name), "train").images

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except ParamsError as error:
            raise UserError(
                f"{error} (dvc pull prepare@{self.name}, or dvc repro prepare@{self.name})"
            ) from error


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; ``auto``: a GPU if there is one. On CPUs results are the same in every repetition.

    Raises:
        UserError: there is no such device here.
    """
    has_cuda = torch.cuda.is_available()
    try:
        device = torch.device(("cuda" if has_cuda else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise UserError(f"there is no device {name!r}; use cpu, cuda or cuda:1") from error
    if device.type == "cuda" and not has_cuda:
        raise UserError("there is no CUDA device here; use cpu")
    if device.type == "cpu":
        torch.set_deterministic_debug_mode("error")
        # A debugging aid that fills all new memory, and costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def open_seed(folder: Path, *, prepared: Callable[[str], Path], device: torch.device) -> LoadedRun:
    """Read a seed's folder, as ``train`` leaves it.

    Args:
        folder: holds ``run.json`` and ``weights.safetensors``.
        prepared: the folder of a prepared data set by its name; read where the run needs it.
        device: where the model computes.

    Raises:
        UserError: the folder is not complete, its files are of another version, or the data set is missing.
    """
    trained = read_seed(folder)
    trained.model.to(device).requires_grad_(False)
    data = _DataOnDemand(name=trained.run.data, folder_of=prepared)
    return LoadedRun(
        trained=trained,
        facts=RunFacts.of(trained.configuration.model_dump(mode="json")),
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
    """Configuration and model of a seed's folder.

    Raises:
        UserError: the folder is not complete, or its files are of another version.
    """
    missing = [name for name in (CONFIGURATION, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} lacks {' and '.join(missing)}: it is not the folder of a trained seed, or its files are not "
            "pulled (dvc pull)"
        )
    try:
        return read_trained(folder)
    except ParamsError as error:
        raise UserError(f"{error}\n{folder} was written by another version: train the run again") from error
    except (
        RuntimeError,
        SafetensorError,
    ) as error:  # tensors are missing, unknown, misshapen; no tensors at all
        raise UserError(f"{folder / WEIGHTS} does not fit {folder / CONFIGURATION}: {error}") from error


def _shape_by_network(run: AnyRun) -> tuple[int, int, int] | None:
    """The images' shape where the network has one; the representation encoder takes any size."""
    if isinstance(run, RepresentationRun):
        return None
    return run.unet.image_channels, run.unet.image_size, run.unet.image_size
