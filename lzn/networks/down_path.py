"""The down path of a U-Net: from an image to smaller feature maps. Decoder and latent encoder have one each."""

from torch import Tensor, nn

from lzn.networks.blocks import AttentionBlock, ResidualBlock
from lzn.networks.initialisation import conv
from lzn.networks.resampling import downsample
from lzn.networks.unet_config import UNetConfig


class DownLevel(nn.Module):
    """One resolution: a block that halves the previous level's resolution (not on level 0), then the level's blocks."""

    def __init__(self, config: UNetConfig, *, level: int, embedding_channels: int | None) -> None:
        super().__init__()
        channels = config.level_channels[level]
        entry_channels = config.level_channels[level - 1] if level else config.base_channels
        num_blocks, dropout = config.blocks_per_level, config.dropout
        self.resolution = config.level_resolutions[level]
        self.map_channels = (entry_channels, *(channels for _ in range(num_blocks)))
        self.downsample = self.input_skip = None
        if level:
            resample = downsample(fir=config.traits.fir_resampling)
            self.downsample = ResidualBlock(
                entry_channels,
                entry_channels,
                embedding_channels=embedding_channels,
                dropout=dropout,
                resample=resample,
            )
        if level and config.traits.input_skip:
            self.input_skip = conv(config.image_channels, entry_channels, kernel=1)
        self.blocks = nn.ModuleList(
            ResidualBlock(in_channels, channels, embedding_channels=embedding_channels, dropout=dropout)
            for in_channels in self.map_channels[:-1]
        )
        has_attention = self.resolution in config.attention_resolutions
        self.attentions = nn.ModuleList(
            AttentionBlock(channels) if has_attention else nn.Identity() for _ in range(num_blocks)
        )

    def forward(self, x: Tensor, image: Tensor, embedding: Tensor | None) -> list[Tensor]:
        """Map the previous level's last map and the image at this level's resolution to this level's maps."""
        if self.downsample is not None:
            x = self.downsample(x, embedding)
        if self.input_skip is not None:
            x = x + self.input_skip(image)
        maps = [x]
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            maps.append(attention(block(maps[-1], embedding)))
        return maps


class DownPath(nn.Module):
    """The stem and all levels; unconditional without ``embedding_channels``."""

    def __init__(self, config: UNetConfig, *, embedding_channels: int | None) -> None:
        super().__init__()
        self.stem = conv(config.image_channels, config.base_channels, kernel=3)
        self.downsample_image = downsample(fir=True) if config.traits.input_skip else nn.Identity()
        levels = [
            DownLevel(config, level=level, embedding_channels=embedding_channels)
            for level in range(len(config.channel_multipliers))
        ]
        self.map_channels = tuple(level.map_channels for level in levels)
        self.levels = nn.ModuleList(levels)

    def forward(self, images: Tensor, embedding: Tensor | None = None) -> list[list[Tensor]]:
        """Map images (b, image_channels, h, w) to each level's maps (b, c, h / 2^i, w / 2^i), finest level first."""
        x = self.stem(images)
        maps: list[list[Tensor]] = []
        for index, level in enumerate(self.levels):
            images = self.downsample_image(images) if index else images
            maps.append(level(x, images, embedding))
            x = maps[-1][-1]
        return maps
