"""Loads a released checkpoint into our networks."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import overload

import torch
from torch import Tensor, nn

from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet
from lzn.released.checkpoint import MODULES, ModuleName, ReleasedCheckpoint
from lzn.released.matching import mismatches, tensor_problems, to_our_layout
from lzn.released.presets import STUDIES, ResNetRelease, Study, UNetRelease
from lzn.released.run_modules import RunModules, released_names, tensors_by_released_name


@dataclass(frozen=True)
class ReleasedModel:
    """The modules of a released run, in evaluation mode.

    Attributes:
        encoder: `ResNetEncoder` in case study 2, else `LatentEncoder`.
        decoder: None in case study 2.
        label_anchors: (c, q) in case study 3, else None.
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
    """Load the networks of a released checkpoint, with EMA weights or (``ema=False``) those of the last iteration.

    A checkpoint has no settings of its networks. For the paper's runs give ``study`` (see `STUDIES`); for others give
    the settings of the U-Nets. There are label anchors if ``num_classes`` is not 0. Weights are loaded on the CPU, as
    float32. The 256x256 studies have equal networks, so their checkpoints cannot be told apart.

    Raises:
        FileNotFoundError: there is no file at ``path``.
        ValueError: the file is not a released checkpoint, or its tensors do not match the settings; the message lists
            missing and unexpected tensors and wrong shapes, and names the studies that match.
    """
    if study is None:
        if unet is None or latent_dim is None:
            raise ValueError("give the study of the checkpoint, or unet and latent_dim")
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
            raise ValueError("a study defines all settings: give either study or the settings")
        release = _release_of(study)
    with torch.random.fork_rng(devices=[]):  # the global generator must not change
        modules = release.build()
    load_weights_into(path, modules, ema=ema)
    return _as_model(modules)


def load_weights_into(path: Path | str, modules: RunModules, *, ema: bool = True) -> None:
    """Load the weights of a released checkpoint into ``modules``, and set them to evaluation mode.

    The checkpoint must have exactly these modules. If any of them does not match, none is changed.

    Raises:
        FileNotFoundError, ValueError: as `load_released`.
    """
    checkpoint = ReleasedCheckpoint.read(Path(path))
    problems = mismatches(checkpoint, modules)
    if problems:
        raise ValueError(f"{path} does not match the settings: {'; '.join(problems)}{_hint(checkpoint)}")
    present = [(name, module) for name in MODULES if (module := modules[name]) is not None]
    weights = [_weights(module, checkpoint, name, ema=ema) for name, module in present]
    for (_, module), state in zip(present, weights, strict=True):  # all weights were checked before
        module.load_state_dict(state)
        module.eval()


def matching_studies(checkpoint: ReleasedCheckpoint) -> list[Study]:
    """Return the studies whose modules have exactly the tensors of the checkpoint."""
    return [
        study for study, release in STUDIES.items() if not mismatches(checkpoint, _on_meta_device(release))
    ]


@cache
def _on_meta_device(release: UNetRelease | ResNetRelease) -> RunModules:
    """Build the modules on the meta device, for names and shapes of their tensors."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return release.build()


def _weights(
    module: nn.Module, checkpoint: ReleasedCheckpoint, name: ModuleName, *, ema: bool
) -> dict[str, Tensor]:
    """Return the state dict of ``module`` from the checkpoint, with our names and layout."""
    names = released_names(module)
    expected = tensors_by_released_name(module)
    released = to_our_layout(checkpoint.tensors(name), expected)
    if ema:
        trained = {names[ours] for ours, _ in module.named_parameters()}
        averages = to_our_layout(checkpoint.ema_tensors(name, trained=trained), expected)
        problems = list(tensor_problems(averages, {key: expected[key] for key in averages}))
        if problems:
            raise ValueError(f"{checkpoint.path}: {name}_ema: {'; '.join(problems)}")
        released |= averages
    return {ours: released[key] for ours, key in names.items()}


def _release_of(study: Study) -> UNetRelease | ResNetRelease:
    if study not in STUDIES:
        raise ValueError(f"study is {study!r}: it must be one of {', '.join(STUDIES)}")
    return STUDIES[study]


def _hint(checkpoint: ReleasedCheckpoint) -> str:
    studies = matching_studies(checkpoint)
    return f". It matches study {' or '.join(map(repr, studies))}" if studies else ""


def _as_model(modules: RunModules) -> ReleasedModel:
    assert modules.encoder is not None
    anchors = modules.label_anchors
    return ReleasedModel(
        modules.encoder, modules.decoder, None if anchors is None else anchors.points.detach()
    )
