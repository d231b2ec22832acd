"""Which tensor of the authors' released ResNet is which of ours.

The released network numbers its layers: ``net.0`` is the stem, ``net.1`` to ``net.4`` are the stages, and in
a block ``net.0`` to ``net.5`` are convolutions and norms in turn. A norm is number 0 of a sequence. Names
here are without the prefix ``model.module.`` of the checkpoints.
"""

from lzn.networks import ResNetEncoder

STEM = {
    "stem.0": "net.0.0",
    "stem.1": "net.0.1.0",
}
"""Released names of the stem's convolution and norm, by ours."""

BLOCK_LAYERS = {
    "conv_reduce": "net.0",
    "norm_reduce": "net.1.0",
    "conv_spatial": "net.2",
    "norm_spatial": "net.3.0",
    "conv_expand": "net.4",
    "norm_expand": "net.5.0",
    "shortcut.0": "projection.shortcut",
    "shortcut.1": "projection.bn.0",
}
"""Released names of a block's layers, by ours; only the first block of a stage has a projection."""

HEAD = {"head.layers": "head.layers"}
"""The head's layers are numbered in the same way."""


def resnet_names(encoder: ResNetEncoder) -> dict[str, str]:
    """Released name of every tensor in the encoder's state dict, keyed by our name."""
    layers = STEM | HEAD | _block_layers(encoder)
    return {name: _translated(name, layers) for name in encoder.state_dict()}


def _block_layers(encoder: ResNetEncoder) -> dict[str, str]:
    """Every block's layers: our stages begin with 0, the released ones with 1, after the stem."""
    blocks = [
        (stage, block)
        for stage, stage_blocks in enumerate(encoder.stages)
        for block, _ in enumerate(stage_blocks.children())
    ]
    return {
        f"stages.{stage}.{block}.{ours}": f"net.{stage + 1}.blocks.{block}.{released}"
        for stage, block in blocks
        for ours, released in BLOCK_LAYERS.items()
    }


def _translated(name: str, layers: dict[str, str]) -> str:
    """``stem.0.weight`` to ``net.0.0.weight``: the layer by the table, what follows as it is."""
    layer = next(layer for layer in layers if name.startswith(f"{layer}."))
    return layers[layer] + name.removeprefix(layer)
