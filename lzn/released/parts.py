"""The modules of a run that a released checkpoint can fill, and how a checkpoint fails to fit them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lzn.networks import LatentEncoder, ResNetEncoder, VelocityUNet
from lzn.networks.label_anchors import LabelAnchors
from lzn.released.checkpoint import MODULES, Module, ReleasedCheckpoint
from lzn.released.resnet_names import resnet_names
from lzn.released.unet_names import decoder_names, encoder_names

LISTED = 6
"""Names in an error message before "and n more"."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Modules of one run; a run has those of its study."""

    encoder: LatentEncoder | ResNetEncoder | None = None
    decoder: VelocityUNet | None = None
    label_anchors: LabelAnchors | None = None

    def __getitem__(self, module: Module) -> nn.Module | None:
        """The part that the files call ``module``."""
        parts: dict[Module, nn.Module | None] = {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "label_anchor": self.label_anchors,
        }
        return parts[module]


def released_names(part: nn.Module) -> dict[str, str]:
    """Released name of every tensor in a part's state dict, keyed by our name.

    Raises:
        TypeError: no part of this type was released.
    """
    match part:
        case LatentEncoder():
            return encoder_names(part)
        case ResNetEncoder():
            return resnet_names(part)
        case VelocityUNet():
            return decoder_names(part)
        case LabelAnchors():
            return {"points": "anchor"}
    raise TypeError(f"no {type(part).__name__} was released")


def tensors_by_released_name(part: nn.Module) -> dict[str, Tensor]:
    """The part's own tensors, parameters and buffers."""
    names = released_names(part)
    return {names[ours]: tensor for ours, tensor in part.state_dict().items()}


def in_our_layout(released: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released tensors, turned where the layouts differ.

    Attention projections ``W`` are (in, out) there. Label anchors are (c, q) as ours, or (q, c); square
    ones are taken as (c, q).
    """
    return {name: _turned(name, tensor, wanted) for name, tensor in released.items()}


def _turned(name: str, tensor: Tensor, wanted: Mapping[str, Tensor]) -> Tensor:
    if tensor.ndim != 2:
        return tensor
    anchors_of_columns = name == "anchor" and name in wanted and tensor.shape == wanted[name].shape[::-1]
    is_turned = name.endswith(".W") or (anchors_of_columns and tensor.shape != wanted[name].shape)
    return tensor.T if is_turned else tensor


def misfits(checkpoint: ReleasedCheckpoint, parts: Parts) -> list[str]:
    """What is wrong with each module's tensors for ``parts``; nothing if they can be filled."""
    return [f"{module}: {problem}" for module in MODULES for problem in _problems(checkpoint, parts, module)]


def _problems(checkpoint: ReleasedCheckpoint, parts: Parts, module: Module) -> Iterator[str]:
    part = parts[module]
    if part is None:
        if checkpoint.has(module):
            yield "is in the checkpoint, but not in a run of these settings"
    elif not checkpoint.has(module):
        yield f"is not in the checkpoint, which has {', '.join(map(str, checkpoint.content)) or 'nothing'}"
    else:
        wanted = tensors_by_released_name(part)
        yield from tensor_problems(in_our_layout(checkpoint.tensors(module), wanted), wanted)


def tensor_problems(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterator[str]:
    """Missing, unexpected and misshapen tensors, one line for each kind of which there are any."""
    problems = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "misshapen": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in wanted.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    yield from (f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
