"""What a U-Net is made of: its typed configuration, and what sets the two families of networks apart."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, kw_only=True)
class Family:
    """The choices that DDPM++ and NCSN++ make differently (Song et al. 2021, appendix H)."""

    fir_resampling: bool
    """Resample with the FIR kernel (1, 3, 3, 1), else by nearest neighbours and averages."""
    input_skip: bool
    """Add the downsampled image to the map with which each level below the first begins."""
    output_skip: bool
    """Every level draws an image; the output is their upsampled sum."""
    fourier_time: bool
    """Embed log(999 t) by random Fourier features, else 999 t by sinusoids."""
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
    """Shape of a U-Net, shared by the velocity decoder and the latent encoder.

    ``image_size`` is in pixels (images are square); level ``i`` has ``base_channels *
    channel_multipliers[i]`` channels at resolution ``image_size / 2^i`` and ``blocks_per_level`` residual
    blocks on the way down; self-attention follows the blocks of the levels whose resolution is in
    ``attention_resolutions``.

    The paper's networks are ``ddpmpp`` with 128 base channels, multipliers (1, 2, 2, 2), 4 blocks a level,
    attention at 16 and dropout 0.15 at 32x32, and ``ncsnpp`` with 128 base channels, multipliers (1, 1, 2, 2,
    2, 2, 2), 2 blocks a level, attention at 16 and no dropout at 256x256.

    Raises:
        ValueError: a field is out of its range; the message names it, what was given and what is allowed.
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
        """Channels of each level's blocks, finest level first."""
        return tuple(self.base_channels * multiplier for multiplier in self.channel_multipliers)

    @property
    def level_resolutions(self) -> tuple[int, ...]:
        """Height and width of each level's maps in pixels, finest level first."""
        return tuple(self.image_size >> level for level in range(len(self.channel_multipliers)))

    @property
    def embedding_channels(self) -> int:
        """Width of the vector that carries time, latent and class into the blocks."""
        return 4 * self.base_channels

    @property
    def traits(self) -> Family:
        """What this configuration's family does differently from the other one."""
        return FAMILIES[self.family]


def _check_positive(config: UNetConfig) -> None:
    for name in ("image_size", "image_channels", "base_channels", "blocks_per_level"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if not config.channel_multipliers or min(config.channel_multipliers) < 1:
        raise ValueError(
            f"channel_multipliers is {config.channel_multipliers}: give one number of at least 1 a level"
        )


def _check_channel_groups(config: UNetConfig) -> None:
    """Every map, and every concatenation of two, must split into the groups of its GroupNorm."""
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
