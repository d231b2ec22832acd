"""The up path of a U-Net: from the smallest feature map to an image. Only the decoder has one."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.networks.blocks import AttentionBlock, ResidualBlock, group_norm
from lzn.networks.initialisation import NEAR_ZERO, conv
from lzn.networks.resampling import upsample
from lzn.networks.unet_config import UNetConfig


class UpState(NamedTuple):
    """Output of one level, input of the next finer one: a map (b, c, h, w), and the sum of images so far."""

    feature_map: Tensor
    image: Tensor | None


class ImageHead(nn.Module):
    """Norm, swish, 3x3 convolution to image channels."""

    def __init__(self, channels: int, image_channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.conv = conv(channels, image_channels, kernel=3, scale=NEAR_ZERO)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, image_channels, h, w)."""
        image: Tensor = self.conv(functional.silu(self.norm(x)))
        return image


class UpLevel(nn.Module):
    """One resolution: a block for each map of the down path, attention, image head, upsampling block.

    Level 0 has the image's resolution, so it has an image head and no upsampling. The others have an image head if the
    family's output is a sum over levels.
    """

    def __init__(
        self,
        config: UNetConfig,
        *,
        level: int,
        in_channels: int,
        skip_channels: Sequence[int],
        embedding_channels: int,
    ) -> None:
        super().__init__()
        channels, traits = config.level_channels[level], config.traits
        width, dropout = embedding_channels, config.dropout
        block_channels = [in_channels, *(channels for _ in skip_channels[1:])]
        self.blocks = nn.ModuleList(
            ResidualBlock(below + skip, channels, embedding_channels=width, dropout=dropout)
            for below, skip in zip(block_channels, reversed(skip_channels), strict=True)
        )
        has_attention = config.level_resolutions[level] in config.attention_resolutions
        self.attention = AttentionBlock(channels) if has_attention else nn.Identity()
        has_image_head = level == 0 or traits.output_skip
        self.image_head = ImageHead(channels, config.image_channels) if has_image_head else None
        self.upsample_image = upsample(fir=traits.fir_resampling)
        self.upsample = None
        if level:
            resample = upsample(fir=traits.fir_resampling)
            self.upsample = ResidualBlock(
                channels, channels, embedding_channels=width, dropout=dropout, resample=resample
            )

    def forward(self, below: UpState, skips: Sequence[Tensor], embedding: Tensor) -> UpState:
        """Compute this level's state from the coarser level's state and the down path's maps of this level."""
        x, image = below
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = block(torch.cat([x, skip], dim=1), embedding)
        x = self.attention(x)
        if self.image_head is not None:
            level_image = self.image_head(x)
            image = level_image if image is None else self.upsample_image(image) + level_image
        if self.upsample is not None:
            x = self.upsample(x, embedding)
        return UpState(x, image)


class UpPath(nn.Module):
    """All levels. ``levels[i]`` has the resolution of the down path's ``levels[i]``; the last one is computed first."""

    def __init__(
        self, config: UNetConfig, *, skip_channels: Sequence[Sequence[int]], embedding_channels: int
    ) -> None:
        super().__init__()
        in_channels = (*config.level_channels[1:], config.level_channels[-1])
        self.levels = nn.ModuleList(
            UpLevel(
                config,
                level=level,
                in_channels=in_channels[level],
                skip_channels=skip_channels[level],
                embedding_channels=embedding_channels,
            )
            for level in range(len(config.channel_multipliers))
        )

    def forward(self, x: Tensor, maps: Sequence[Sequence[Tensor]], embedding: Tensor) -> Tensor:
        """Map the middle's output and the down path's maps (finest level first) to images (b, channels, h, w)."""
        state = UpState(x, image=None)
        for level, skips in zip(reversed(self.levels), reversed(maps), strict=True):
            state = level(state, skips, embedding)
        assert state.image is not None  # level 0 always has an image head
        return state.image
