"""Settings of U-Nets: those of the paper, and those of the checkpoints in tests/reference."""

from dataclasses import dataclass

from lzn.networks import UNetConfig

PAPER_32 = UNetConfig(
    image_size=32,
    image_channels=3,
    base_channels=128,
    channel_multipliers=(1, 2, 2, 2),
    blocks_per_level=4,
    attention_resolutions=(16,),
    dropout=0.15,
    family="ddpmpp",
)
PAPER_256 = UNetConfig(
    image_size=256,
    image_channels=3,
    base_channels=128,
    channel_multipliers=(1, 1, 2, 2, 2, 2, 2),
    blocks_per_level=2,
    attention_resolutions=(16,),
    family="ncsnpp",
)
PAPER_256_LATENT_RESOLUTIONS = (64, 32, 16, 8, 4)

TINY_16 = UNetConfig(
    image_size=16,
    image_channels=3,
    base_channels=16,
    channel_multipliers=(1, 2),
    blocks_per_level=1,
    attention_resolutions=(8,),
    dropout=0.15,
    family="ddpmpp",
)
TINY_32 = UNetConfig(
    image_size=32,
    image_channels=3,
    base_channels=16,
    channel_multipliers=(1, 1, 2),
    blocks_per_level=1,
    attention_resolutions=(16,),
    family="ncsnpp",
)


@dataclass(frozen=True, kw_only=True)
class TinyRelease:
    """A small released checkpoint, ``released_<name>_tiny.pt``, and its settings."""

    name: str
    unet: UNetConfig
    num_classes: int = 0
    latent_resolutions: tuple[int, ...] | None = None
    latent_dim: int = 10
    block_channels: int = 4
    block_units: int = 12


TINY_RELEASES = (
    TinyRelease(name="cifar10", unet=TINY_16),
    TinyRelease(name="hires", unet=TINY_32, latent_resolutions=(16, 8)),
    TinyRelease(name="joint", unet=TINY_16, num_classes=10),
)
