"""Layers that compute in the dtype of their parameters also under autocast."""

from torch import Tensor, nn

from lzn.base.full_precision import autocast_disabled


def in_own_precision(layer: nn.Module, x: Tensor) -> Tensor:
    """Return ``layer(x)``, computed in the dtype of the layer's parameters, without autocast.

    Used for the last layers before an anchor: anchors rounded to bfloat16 would be other anchors.
    """
    with autocast_disabled(x.device):
        output: Tensor = layer(x.to(next(layer.parameters()).dtype))
    return output
