"""The encoder of images to anchors: a U-Net's down path whose feature maps all contribute (paper C.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.networks.blocks import MiddleBlocks
from lzn.networks.down_path import DownPath
from lzn.networks.initialisation import conv, dense
from lzn.networks.own_precision import in_own_precision
from lzn.networks.shape_checks import check_images
from lzn.networks.unet_config import UNetConfig


class LatentBlock(nn.Module):
    """Contribution of one feature map to the anchor: 1x1 convolution to few channels, then two dense layers."""

    def __init__(
        self, in_channels: int, resolution: int, *, latent_dim: int, block_channels: int, block_units: int
    ) -> None:
        super().__init__()
        self.conv = conv(in_channels, block_channels, kernel=1)
        self.dense_in = dense(block_channels * resolution**2, block_units)
        self.dense_out = dense(block_units, latent_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, q)."""
        pixels = functional.silu(self.conv(x)).flatten(1)  # (b, channels, h, w) => (b, channels*h*w)
        return in_own_precision(self.dense_out, functional.silu(self.dense_in(pixels)))


class LatentEncoder(nn.Module):
    """Anchors of images: the sum of one latent block per feature map of the down path, and one for the middle.

    The down path is that of the velocity U-Net with the same ``config``, without conditioning. A latent block has
    ``block_channels`` channels and ``block_units`` hidden units. With ``latent_resolutions``, only maps of these
    resolutions have a latent block. The paper's 256x256 encoders use 64, 32, 16, 8 and 4: latent blocks of finer maps
    would have most of the parameters.

    Raises:
        ValueError: a number is not positive, or ``latent_resolutions`` has none or unknown resolutions.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        latent_dim: int,
        block_channels: int = 20,
        block_units: int = 200,
        latent_resolutions: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if min(latent_dim, block_channels, block_units) < 1:
            raise ValueError(
                f"latent_dim={latent_dim}, block_channels={block_channels} and block_units={block_units} "
                "must be at least 1"
            )
        self.config = config
        self.latent_dim = latent_dim
        self.latent_resolutions = _checked_resolutions(config, latent_resolutions)
        self.down = DownPath(config, embedding_channels=None)
        self.middle = MiddleBlocks(config.level_channels[-1], embedding_channels=None, dropout=config.dropout)
        chosen = [
            (channels, resolution)
            for resolution, level_maps in zip(config.level_resolutions, self.down.map_channels, strict=True)
            for channels in level_maps
        ]
        chosen.append((config.level_channels[-1], config.level_resolutions[-1]))
        self.latent_blocks = nn.ModuleList(
            LatentBlock(
                channels,
                resolution,
                latent_dim=latent_dim,
                block_channels=block_channels,
                block_units=block_units,
            )
            for channels, resolution in chosen
            if resolution in self.latent_resolutions
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (b, image_channels, h, w) in [-1, 1] to anchors (b, q).

        Raises:
            ValueError: the images have another shape.
        """
        check_images(images, channels=self.config.image_channels, size=self.config.image_size)
        maps = [feature_map for level_maps in self.down(images) for feature_map in level_maps]
        maps.append(self.middle(maps[-1]))
        chosen = [feature_map for feature_map in maps if feature_map.shape[-1] in self.latent_resolutions]
        contributions = torch.stack(
            [block(feature_map) for block, feature_map in zip(self.latent_blocks, chosen, strict=True)]
        )
        return contributions.sum(dim=0, dtype=torch.promote_types(contributions.dtype, torch.float32))


def _checked_resolutions(config: UNetConfig, resolutions: Sequence[int] | None) -> tuple[int, ...]:
    if resolutions is None:
        return config.level_resolutions
    unknown = set(resolutions) - set(config.level_resolutions)
    if unknown or not resolutions:
        raise ValueError(
            f"latent_resolutions is {tuple(resolutions)}: choose at least one of {config.level_resolutions}"
        )
    return tuple(resolutions)
