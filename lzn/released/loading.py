"""From a released checkpoint to our networks."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import overload

import torch
from torch import Tensor, nn

from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet
from lzn.released.checkpoint import MODULES, Module, ReleasedCheckpoint
from lzn.released.parts import (
    Parts,
    in_our_layout,
    misfits,
    released_names,
    tensor_problems,
    tensors_by_released_name,
)
from lzn.released.presets import STUDIES, ResNetRelease, Study, UNetRelease


@dataclass(frozen=True)
class ReleasedModel:
    """The modules of a released run, in evaluation mode.

    Attributes:
        encoder: `ResNetEncoder` in case study 2, `LatentEncoder` in the others.
        decoder: None in case study 2.
        label_anchors: (c, q), in case study 3 alone.
    """

    encoder: LatentEncoder | ResNetEncoder
    decoder: VelocityUNet | None
    label_anchors: Tensor | None


@overload
def load_released(path: Path | str, *, study: Study, ema: bool = True) -> ReleasedModel: ...


@overload
def load_released(
    path: Path | str,
    *,
    unet: UNetConfig,
    latent_dim: int,
    num_classes: int = 0,
    block_channels: int = 20,
    block_units: int = 200,
    latent_resolutions: tuple[int, ...] | None = None,
    ema: bool = True,
) -> ReleasedModel: ...


def load_released(
    path: Path | str,
    *,
    study: Study | None = None,
    unet: UNetConfig | None = None,
    latent_dim: int | None = None,
    num_classes: int = 0,
    block_channels: int = 20,
    block_units: int = 200,
    latent_resolutions: tuple[int, ...] | None = None,
    ema: bool = True,
) -> ReleasedModel:
    """The networks of a released checkpoint, with its EMA weights or (``ema=False``) the last iteration's.

    A checkpoint does not say how its modules were built. For one of the paper's runs ``study`` is enough (see
    `STUDIES`); for networks of another size, give the settings of their U-Nets. There are label anchors if,
    and only if, ``num_classes`` is not 0. Read on the CPU, in the precision of our networks (float32).

    The 256x256 studies have the same networks: nothing in a file tells which of them it is of.

    Raises:
        FileNotFoundError: there is no file at ``path``. ValueError: it is not such a checkpoint, or its
            tensors do not fit the settings; the message lists those that are missing, unexpected or of
            another shape, and names the studies that do fit.
    """
    if study is None:
        if unet is None or latent_dim is None:
            raise ValueError("give the study of the checkpoint, or else unet and latent_dim")
        release: UNetRelease | ResNetRelease = UNetRelease(
            unet=unet,
            latent_dim=latent_dim,
            num_classes=num_classes,
            block_channels=block_channels,
            block_units=block_units,
            latent_resolutions=latent_resolutions,
        )
    else:
        settings = (unet, latent_dim, num_classes, block_channels, block_units, latent_resolutions)
        if settings != (None, None, 0, 20, 200, None):
            raise ValueError("a study has settings of its own: give either study or the settings")
        release = _release_of(study)
    with torch.random.fork_rng(devices=[]):  # initial weights are not kept, so they should cost no randomness
        parts = release.build()
    fill_from_released(path, parts, ema=ema)
    return _as_model(parts)


def fill_from_released(path: Path | str, parts: Parts, *, ema: bool = True) -> None:
    """Give ``parts`` the weights of a released checkpoint, and put them in evaluation mode.

    The checkpoint must have the modules in ``parts`` and no others.

    Raises:
        FileNotFoundError, ValueError: as `load_released`.
    """
    checkpoint = ReleasedCheckpoint.read(Path(path))
    problems = misfits(checkpoint, parts)
    if problems:
        raise ValueError(f"{path} does not fit the settings given: {'; '.join(problems)}{_hint(checkpoint)}")
    present = [(module, part) for module in MODULES if (part := parts[module]) is not None]
    weights = [_weights(part, checkpoint, module, ema=ema) for module, part in present]
    for (_, part), state in zip(present, weights, strict=True):  # only now: all or none is filled
        part.load_state_dict(state)
        part.eval()


def fitting_studies(checkpoint: ReleasedCheckpoint) -> list[Study]:
    """The studies of whose modules the checkpoint has all tensors, and no others."""
    return [study for study, release in STUDIES.items() if not misfits(checkpoint, _without_memory(release))]


@cache
def _without_memory(release: UNetRelease | ResNetRelease) -> Parts:
    """The modules for their tensors' names and shapes alone."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return release.build()


def _weights(
    part: nn.Module, checkpoint: ReleasedCheckpoint, module: Module, *, ema: bool
) -> dict[str, Tensor]:
    """The state dict of ``part``, in our names and layout."""
    names = released_names(part)
    wanted = tensors_by_released_name(part)
    released = in_our_layout(checkpoint.tensors(module), wanted)
    if ema:
        trained = {names[ours] for ours, _ in part.named_parameters()}
        averages = in_our_layout(checkpoint.averages(module, trained=trained), wanted)
        problems = list(tensor_problems(averages, {name: wanted[name] for name in averages}))
        if problems:
            raise ValueError(f"{checkpoint.path}: {module}_ema: {'; '.join(problems)}")
        released |= averages
    return {ours: released[name] for ours, name in names.items()}


def _release_of(study: Study) -> UNetRelease | ResNetRelease:
    if study not in STUDIES:
        raise ValueError(f"study is {study!r}: it must be one of {', '.join(STUDIES)}")
    return STUDIES[study]


def _hint(checkpoint: ReleasedCheckpoint) -> str:
    studies = fitting_studies(checkpoint)
    return f". It does fit study {' or '.join(map(repr, studies))}" if studies else ""


def _as_model(parts: Parts) -> ReleasedModel:
    assert parts.encoder is not None
    anchors = parts.label_anchors
    return ReleasedModel(parts.encoder, parts.decoder, None if anchors is None else anchors.points.detach())
