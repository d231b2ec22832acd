"""The configuration of a U-Net, and the differences between the two families of networks."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class Family:
    """The differences between DDPM++ and NCSN++ (Song et al. 2021, appendix H)."""

    fir_resampling: bool
    """Resample with the FIR kernel (1, 3, 3, 1); else by nearest neighbours and averages."""
    input_skip: bool
    """Add the downsampled image to the first map of each level except level 0."""
    output_skip: bool
    """Each level has an image head; the output is the upsampled sum of their images."""
    fourier_time: bool
    """Embed log(999 t) by random Fourier features; else 999 t by sinusoids."""
    output_over_time: bool
    """Divide the output by 999 t."""


FAMILIES = {
    "ddpmpp": Family(
        fir_resampling=False, input_skip=False, output_skip=False, fourier_time=False, output_over_time=False
    ),
    "ncsnpp": Family(
        fir_resampling=True, input_skip=True, output_skip=True, fourier_time=True, output_over_time=True
    ),
}


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Configuration of a U-Net, shared by the velocity decoder and the latent encoder.

    ``image_size`` is in pixels; images are square. Level ``i`` has ``base_channels * channel_multipliers[i]`` channels
    at resolution ``image_size / 2^i``, and ``blocks_per_level`` residual blocks in the down path. In levels whose
    resolution is in ``attention_resolutions``, self-attention follows each block.

    The paper's network at 32x32 is ``ddpmpp`` with 128 base channels, multipliers (1, 2, 2, 2), 4 blocks per level,
    attention at 16 and dropout 0.15. At 256x256 it is ``ncsnpp`` with 128 base channels, multipliers (1, 1, 2, 2, 2, 2,
    2), 2 blocks per level, attention at 16 and no dropout.

    Raises:
        ValueError: a field is out of range; the message names the field, its value and what is allowed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    image_size: int
    image_channels: int
    base_channels: int
    channel_multipliers: tuple[int, ...]
    blocks_per_level: int
    attention_resolutions: tuple[int, ...]
    dropout: float = 0.0
    family: Literal["ddpmpp", "ncsnpp"] = "ddpmpp"

    def __post_init__(self) -> None:
        _check_positive(self)
        _check_channel_groups(self)
        _check_resolutions(self)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: it must be at least 0 and below 1")
        if self.family not in FAMILIES:
            raise ValueError(f"family is {self.family!r}: it must be one of {', '.join(FAMILIES)}")

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Number of channels of each level's blocks, finest level first."""
        return tuple(self.base_channels * multiplier for multiplier in self.channel_multipliers)

    @property
    def level_resolutions(self) -> tuple[int, ...]:
        """Height and width of each level's maps in pixels, finest level first."""
        return tuple(self.image_size >> level for level in range(len(self.channel_multipliers)))

    @property
    def embedding_channels(self) -> int:
        """Length of the embedding of time, latent and class."""
        return 4 * self.base_channels

    @property
    def traits(self) -> Family:
        """The choices of this configuration's family."""
        return FAMILIES[self.family]


def _check_positive(config: UNetConfig) -> None:
    for name in ("image_size", "image_channels", "base_channels", "blocks_per_level"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if not config.channel_multipliers or min(config.channel_multipliers) < 1:
        raise ValueError(
            f"channel_multipliers is {config.channel_multipliers}: give one number of at least 1 per level"
        )


def _check_channel_groups(config: UNetConfig) -> None:
    """Check that channels of maps and of concatenated maps are multiples of their GroupNorm's groups."""
    if config.base_channels % 4:
        raise ValueError(f"base_channels is {config.base_channels}: it must be a multiple of 4")
    widest = 2 * max(config.level_channels)
    if widest > 128 and config.base_channels % 32:
        raise ValueError(
            f"base_channels is {config.base_channels}: with channel_multipliers {config.channel_multipliers} "
            f"maps reach {widest} channels, and above 128 it must be a multiple of 32"
        )


def _check_resolutions(config: UNetConfig) -> None:
    divisor = 2 ** (len(config.channel_multipliers) - 1)
    if config.image_size % divisor:
        raise ValueError(
            f"image_size is {config.image_size}: with {len(config.channel_multipliers)} levels "
            f"(channel_multipliers) it must be a multiple of {divisor}"
        )
    unknown = set(config.attention_resolutions) - set(config.level_resolutions)
    if unknown:
        raise ValueError(
            f"attention_resolutions is {config.attention_resolutions}: no level has resolution "
            f"{', '.join(map(str, sorted(unknown)))}, the levels have {config.level_resolutions}"
        )
