"""The names of our ResNet's tensors in the authors' released checkpoints.

The released network numbers its layers: ``net.0`` is the stem, ``net.1`` to ``net.4`` are the stages, and in a block
``net.0`` to ``net.5`` are alternately convolutions and norms. A norm is item 0 of a sequence. Names here are without
the checkpoints' prefix ``model.module.``.
"""

from lzn.networks import ResNetEncoder

STEM = {
    "stem.0": "net.0.0",
    "stem.1": "net.0.1.0",
}
"""Released names of the stem's convolution and norm, keyed by our names."""

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
"""Released names of a block's layers, keyed by our names; only the first block of a stage has a projection."""

HEAD = {"head.layers": "head.layers"}
"""The head's layers have the same names."""


def resnet_names(encoder: ResNetEncoder) -> dict[str, str]:
    """Return the released name of every tensor in the encoder's state dict, keyed by our name."""
    layers = STEM | HEAD | _block_layers(encoder)
    return {name: _translated(name, layers) for name in encoder.state_dict()}


def _block_layers(encoder: ResNetEncoder) -> dict[str, str]:
    """Return the names of every block's layers. Our stages start at 0; released ones start at 1, after the stem."""
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
    """Replace the layer's name by the table: ``stem.0.weight`` becomes ``net.0.0.weight``."""
    layer = next(layer for layer in layers if name.startswith(f"{layer}."))
    return layers[layer] + name.removeprefix(layer)
