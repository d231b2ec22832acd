"""The names of our U-Nets' tensors in the authors' released checkpoints.

The released U-Nets have their layers in one numbered list, ``all_modules``. The encoder's latent blocks are numbered by
their input's feature map. Names here are without the checkpoints' prefix ``model.module.``.
"""

from collections.abc import Iterator

from lzn.networks import LatentEncoder, UNetConfig, VelocityUNet

LAYERS = {
    "norm_in": "GroupNorm_0",
    "conv_in": "Conv_0",
    "projection": "Dense_0",
    "norm_out": "GroupNorm_1",
    "conv_out": "Conv_1",
    "skip": "Conv_2",
    "norm": "GroupNorm_0",
    "query": "NIN_0",
    "key": "NIN_1",
    "value": "NIN_2",
    "out": "NIN_3",
}
"""Released names of the layers inside residual blocks and attention blocks."""

LATENT_LAYERS = {
    "conv": "spatial_transformations.{}.0",
    "dense_in": "latent_transformations.{}.0",
    "dense_out": "latent_transformations.{}.2",
}
"""Released names of a latent block's layers, to format with the number of the feature map."""


def decoder_names(decoder: VelocityUNet) -> dict[str, str]:
    """Return the released name of every tensor in the decoder's state dict, keyed by our name."""
    numbered = [
        "conditioning.time",
        "conditioning.dense_in",
        "conditioning.dense_out",
        *_down_modules(decoder.config),
        *_middle_modules(),
        *_up_modules(decoder.config),
    ]
    return _numbered_names(list(decoder.state_dict()), numbered)


def encoder_names(encoder: LatentEncoder) -> dict[str, str]:
    """Return the released name of every tensor in the latent encoder's state dict, keyed by our name."""
    numbered = [*_down_modules(encoder.config), *_middle_modules()]
    names = _numbered_names(list(encoder.state_dict()), numbered)
    for block, feature_map in enumerate(_latent_maps(encoder)):
        for layer, released_layer in LATENT_LAYERS.items():
            for kind in ("weight", "bias"):
                released = f"{released_layer.format(feature_map)}.{kind}"
                names[f"latent_blocks.{block}.{layer}.{kind}"] = released
    return names


def _down_modules(config: UNetConfig) -> Iterator[str]:
    """Yield modules of the down path in the order of the released list; some families and levels lack some of them."""
    yield "down.stem"
    for level in range(len(config.channel_multipliers)):
        prefix = f"down.levels.{level}"
        yield from (f"{prefix}.downsample", f"{prefix}.input_skip")
        for block in range(config.blocks_per_level):
            yield from (f"{prefix}.blocks.{block}", f"{prefix}.attentions.{block}")


def _middle_modules() -> tuple[str, ...]:
    return "middle.block_in", "middle.attention", "middle.block_out"


def _up_modules(config: UNetConfig) -> Iterator[str]:
    """Yield modules of the up path, coarsest level first, like `_down_modules`."""
    for level in reversed(range(len(config.channel_multipliers))):
        prefix = f"up.levels.{level}"
        yield from (f"{prefix}.blocks.{block}" for block in range(config.blocks_per_level + 1))
        yield from (f"{prefix}.attention", f"{prefix}.image_head.norm", f"{prefix}.image_head.conv")
        yield f"{prefix}.upsample"


def _numbered_names(tensors: list[str], modules: list[str]) -> dict[str, str]:
    """Number the modules that have tensors, and return their tensors' released names keyed by our names."""
    parts = {
        module: [name.removeprefix(f"{module}.") for name in tensors if name.startswith(f"{module}.")]
        for module in modules
    }
    existing = [module for module in modules if parts[module]]
    return {
        f"{module}.{part}": f"all_modules.{number}.{_released_part(module, part)}"
        for number, module in enumerate(existing)
        for part in parts[module]
    }


def _released_part(module: str, part: str) -> str:
    """Return a tensor's released name in its module, as ``Conv_0.weight`` for ``conv_in.weight``."""
    layer, _, kind = part.rpartition(".")
    if part == "frequencies":
        return "W"
    if module.endswith("input_skip"):
        return f"Conv_0.{kind}"
    if not layer:
        return kind
    released_layer = LAYERS[layer]
    if released_layer.startswith("NIN"):
        kind = {"weight": "W", "bias": "b"}[kind]
    return f"{released_layer}.{kind}"


def _latent_maps(encoder: LatentEncoder) -> list[int]:
    """Return the numbers of feature maps with a latent block: those of the down path, then the middle's output."""
    resolutions = [
        resolution
        for resolution, channels in zip(
            encoder.config.level_resolutions, encoder.down.map_channels, strict=True
        )
        for _ in channels
    ]
    resolutions.append(resolutions[-1])
    return [
        number for number, resolution in enumerate(resolutions) if resolution in encoder.latent_resolutions
    ]
