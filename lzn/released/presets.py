"""The settings of the six released runs (C.2, C.3, D.2, D.3, E.2 and E.3 of the paper)."""

from dataclasses import dataclass
from typing import Literal

from lzn.flow import LabelAnchors
from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet
from lzn.released.run_modules import RunModules

Study = Literal["cifar10", "afhq_cat", "celeba_hq", "lsun_bedroom", "imagenet", "cifar10_joint"]


@dataclass(frozen=True, kw_only=True)
class UNetRelease:
    """Settings of a run with U-Nets: RF+LZN, or with classes case study 3, which has label anchors.

    They are the arguments of `VelocityUNet` and `LatentEncoder`. Checkpoints do not have them.
    """

    unet: UNetConfig
    latent_dim: int = 200
    num_classes: int = 0
    block_channels: int = 20
    block_units: int = 200
    latent_resolutions: tuple[int, ...] | None = None

    def build(self) -> RunModules:
        """Build the modules with initial weights."""
        encoder = LatentEncoder(
            self.unet,
            latent_dim=self.latent_dim,
            block_channels=self.block_channels,
            block_units=self.block_units,
            latent_resolutions=self.latent_resolutions,
        )
        decoder = VelocityUNet(self.unet, latent_dim=self.latent_dim, num_classes=self.num_classes)
        label_anchors = LabelAnchors(self.num_classes, self.latent_dim) if self.num_classes else None
        return RunModules(encoder=encoder, decoder=decoder, label_anchors=label_anchors)


@dataclass(frozen=True, kw_only=True)
class ResNetRelease:
    """Settings of a run of case study 2: arguments of `ResNetEncoder`."""

    depth: int = 50
    base_channels: int = 64
    head_dim: int = 256
    head_layers: int = 2

    def build(self) -> RunModules:
        """Build the encoder with initial weights."""
        return RunModules(
            encoder=ResNetEncoder(
                depth=self.depth,
                base_channels=self.base_channels,
                head_dim=self.head_dim,
                head_layers=self.head_layers,
            )
        )


UNET_32 = UNetConfig(
    image_size=32,
    image_channels=3,
    base_channels=128,
    channel_multipliers=(1, 2, 2, 2),
    blocks_per_level=4,
    attention_resolutions=(16,),
    dropout=0.15,
    family="ddpmpp",
)
"""The U-Net of the 32x32 runs (C.2)."""

UNET_256 = UNetConfig(
    image_size=256,
    image_channels=3,
    base_channels=128,
    channel_multipliers=(1, 1, 2, 2, 2, 2, 2),
    blocks_per_level=2,
    attention_resolutions=(16,),
    dropout=0.0,
    family="ncsnpp",
)
"""The U-Net of the 256x256 runs (C.2)."""

RELEASE_256 = UNetRelease(unet=UNET_256, latent_resolutions=(64, 32, 16, 8, 4))
"""The 256x256 runs differ only in data and training."""

STUDIES: dict[Study, UNetRelease | ResNetRelease] = {
    "cifar10": UNetRelease(unet=UNET_32),
    "afhq_cat": RELEASE_256,
    "celeba_hq": RELEASE_256,
    "lsun_bedroom": RELEASE_256,
    "imagenet": ResNetRelease(),
    "cifar10_joint": UNetRelease(unet=UNET_32, num_classes=10),
}
