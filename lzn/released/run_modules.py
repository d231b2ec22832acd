"""The modules of one run, and their tensors by released name."""

from dataclasses import dataclass

from torch import Tensor, nn

from lzn.flow import LabelAnchors
from lzn.networks import LatentEncoder, ResNetEncoder, VelocityUNet
from lzn.released.checkpoint import ModuleName
from lzn.released.resnet_names import resnet_names
from lzn.released.unet_names import decoder_names, encoder_names


@dataclass(frozen=True, kw_only=True)
class RunModules:
    """The modules of one run; None where its case study has no such module."""

    encoder: LatentEncoder | ResNetEncoder | None = None
    decoder: VelocityUNet | None = None
    label_anchors: LabelAnchors | None = None

    def __getitem__(self, name: ModuleName) -> nn.Module | None:
        """Return the module by its name in the files."""
        modules: dict[ModuleName, nn.Module | None] = {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "label_anchor": self.label_anchors,
        }
        return modules[name]


def released_names(module: nn.Module) -> dict[str, str]:
    """Return the released name of every tensor in the module's state dict, keyed by our name.

    Raises:
        TypeError: no module of this type was released.
    """
    match module:
        case LatentEncoder():
            return encoder_names(module)
        case ResNetEncoder():
            return resnet_names(module)
        case VelocityUNet():
            return decoder_names(module)
        case LabelAnchors():
            return {"points": "anchor"}
    raise TypeError(f"no {type(module).__name__} was released")


def tensors_by_released_name(module: nn.Module) -> dict[str, Tensor]:
    """Return the module's parameters and buffers, keyed by released name."""
    names = released_names(module)
    return {names[ours]: tensor for ours, tensor in module.state_dict().items()}
