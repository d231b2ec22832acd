"""A trained seed, ready to be asked: its model on a device, its images' shape, and the company that zones need.

**Zones of single images.** A zone is a share of the latent space among the anchors of a batch: an image alone would own
all of it. Here every image is met by itself among the anchors of the same `companions`: as many random training images
as a training batch has beside it, so that zones are as wide as the run was trained with. No answer depends on what else
is asked for. How well this classifies, the stage ``classify`` measures as ``accuracy_alone``.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from lzn.data import ChosenImages, ImageArray, random_subset
from lzn.flow import AnchorBank, Euler
from lzn.studies import encode_images
from stages.dataset_files import read_description, read_split
from stages.inference.abilities import RunFacts
from stages.params import ParamsError
from stages.runs import AnyRun, RepresentationRun
from stages.trained import CONFIGURATION, WEIGHTS, TrainedRun, read_trained
from stages.user_error import UserError

LABEL_SOLVER = Euler(num_steps=100)
"""Of the flow between latents and label anchors (section 5)."""
COMPANION_SEED = 0
"""Of the choice of companions; the same for all runs of a data set."""
_ENCODED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class UsableRun:
    """One trained seed.

    Attributes:
        trained: configuration and model; the model is on ``device``.
        facts: what it can do.
        image_shape: (channels, height, width) of its images.
        device: where it computes.
        companions: the anchors (m, q) among which each image has its zone, on ``device``; computed when first called.
    """

    trained: TrainedRun
    facts: RunFacts
    image_shape: tuple[int, int, int]
    device: torch.device
    companions: Callable[[], Tensor]

    def latents(self, anchors: Tensor, noise: Tensor, *, alpha: float) -> Tensor:
        """Latents (m, q) from the zones of anchors (m, q), each among the companions and itself (Eq. 1 and 4)."""
        latent = self.trained.run.latent
        assert latent is not None
        return self._bank.latents(anchors, noise, alpha=alpha, solver=latent.solver.build())

    @functools.cached_property
    def _bank(self) -> AnchorBank:
        return AnchorBank(self.companions())


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


def open_seed(folder: Path, *, prepared: Callable[[str], Path], device: torch.device) -> UsableRun:
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
    return UsableRun(
        trained=trained,
        facts=RunFacts.of(trained.configuration.model_dump(mode="json")),
        image_shape=_shape_by_network(trained.run) or data.image_shape(),
        device=device,
        companions=functools.cache(lambda: companion_anchors(trained, data.training_images(), device=device)),
    )


def companion_anchors(trained: TrainedRun, images: ImageArray, *, device: torch.device) -> Tensor:
    """Anchors (m, q) of random training images: one fewer than a training batch has, or all where there are fewer."""
    count = max(1, min(trained.run.training.batch_size - 1, len(images)))
    chosen = ChosenImages(images, random_subset(len(images), count, seed=COMPANION_SEED).numpy())
    encoder = trained.model.to(device).encoder
    return encode_images(encoder, chosen, batch_size=_ENCODED_AT_ONCE, device=device)


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
