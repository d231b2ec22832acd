"""Reading the checkpoints that the paper's authors released.

A checkpoint holds a state dict for each module and, for its exponential moving average (EMA), a list of
tensors in the order of that module's trained parameters.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from lzn.networks import LatentEncoder, UNetConfig, VelocityUNet
from lzn.released_names import decoder_names, encoder_names

PREFIX = "model.module."
"""Every tensor's name in a checkpoint begins with it."""

UNUSED = {"sigmas"}
"""Buffers of the released decoders that this method does not read; not trained, so not in the EMA lists."""

LISTED = 8
"""Names in an error message before "and n more"."""

Network = TypeVar("Network", LatentEncoder, VelocityUNet)


@dataclass(frozen=True)
class ReleasedModel:
    """The modules of a released run, in evaluation mode, and its label anchors (c, q), if it has them."""

    encoder: LatentEncoder
    decoder: VelocityUNet
    label_anchors: Tensor | None


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
) -> ReleasedModel:
    """The networks of a released checkpoint, with its EMA weights or (``ema=False``) the last iteration's.

    A checkpoint does not say how its modules were built: the settings are those of the run. It has label
    anchors if, and only if, ``num_classes`` is not 0. Read on the CPU, in the precision of our networks
    (float32).

    Raises:
        FileNotFoundError: there is no file at ``path``. ValueError: it is not such a checkpoint, or its
        tensors do not fit the settings; the message lists those that
            are missing, unexpected or of another shape.
    """
    checkpoint = _read(Path(path))
    encoder = LatentEncoder(
        unet,
        latent_dim=latent_dim,
        block_channels=block_channels,
        block_units=block_units,
        latent_resolutions=latent_resolutions,
    )
    decoder = VelocityUNet(unet, latent_dim=latent_dim, num_classes=num_classes)
    _fill(encoder, encoder_names(encoder), checkpoint, "encoder", ema=ema)
    _fill(decoder, decoder_names(decoder), checkpoint, "decoder", ema=ema)
    label_anchors = _label_anchors(checkpoint, num_classes=num_classes, latent_dim=latent_dim, ema=ema)
    return ReleasedModel(encoder, decoder, label_anchors)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is not a checkpoint of tensors that can be read safely: {error}") from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path} holds a {type(checkpoint).__name__}, not the dict of a released checkpoint")
    return checkpoint


def _fill(
    network: Network, names: Mapping[str, str], checkpoint: Mapping[str, Any], module: str, *, ema: bool
) -> None:
    """Give the network the checkpoint's tensors of ``module``; ``names`` has the released names by ours."""
    released = _state(checkpoint, module)
    wanted = {names[ours]: _turned(names[ours], tensor) for ours, tensor in network.state_dict().items()}
    _check_tensors(module, released, wanted)
    if ema:
        trained = {names[ours] for ours, _ in network.named_parameters()}
        in_order = {name: tensor for name, tensor in released.items() if name in trained}
        released |= _averages(checkpoint, module, in_order)
    network.load_state_dict({ours: _turned(name, released[name]) for ours, name in names.items()})
    network.eval()


def _state(checkpoint: Mapping[str, Any], module: str) -> dict[str, Tensor]:
    state = checkpoint.get(module)
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(
            f"not a released checkpoint: {module!r} must be a dict of tensors; "
            f"the file has the keys {list(checkpoint)}"
        )
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in state.items()
        if name.removeprefix(PREFIX) not in UNUSED
    }


def _averages(checkpoint: Mapping[str, Any], module: str, trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The EMA's tensors by name, given the module's trained tensors in the order of its state dict."""
    ema = checkpoint.get(f"{module}_ema")
    shadow = ema.get("shadow_params") if isinstance(ema, dict) else None
    if not isinstance(shadow, list) or not all(isinstance(tensor, Tensor) for tensor in shadow):
        raise ValueError(f"not a released checkpoint: {module}_ema has no list of tensors, shadow_params")
    if len(shadow) != len(trained):
        raise ValueError(f"{module}_ema has {len(shadow)} tensors for {len(trained)} trained parameters")
    averages = dict(zip(trained, shadow, strict=True))
    _check_tensors(f"{module}_ema", averages, trained)
    return averages


def _check_tensors(module: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    problems = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "misshapen": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in wanted.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    found = "; ".join(f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)
    if found:
        raise ValueError(f"{module} of the checkpoint does not fit the settings given: {found}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _turned(name: str, tensor: Tensor) -> Tensor:
    """From the released layout to ours or back: attention projections ``W`` are (in, out) there."""
    return tensor.T if name.endswith(".W") and tensor.ndim == 2 else tensor


def _label_anchors(
    checkpoint: Mapping[str, Any], *, num_classes: int, latent_dim: int, ema: bool
) -> Tensor | None:
    """Label anchors (c, q): the file's one tensor, turned if it is (q, c); if square, taken as (c, q)."""
    if ("label_anchor" in checkpoint) != (num_classes > 0):
        found = "has label anchors" if num_classes == 0 else "has none"
        raise ValueError(f"num_classes is {num_classes}, but the checkpoint {found}: there is one a class")
    if num_classes == 0:
        return None
    state = _state(checkpoint, "label_anchor")
    if set(state) != {"anchor"}:
        raise ValueError(f"label_anchor must hold one tensor, anchor; it has {list(state)}")
    anchors = (_averages(checkpoint, "label_anchor", state) if ema else state)["anchor"]
    if anchors.shape == (latent_dim, num_classes) and latent_dim != num_classes:
        anchors = anchors.T
    if anchors.shape != (num_classes, latent_dim):
        raise ValueError(
            f"label anchors have shape {tuple(anchors.shape)}, not {(num_classes, latent_dim)} as set"
        )
    return anchors.clone()
