"""The decoder of rectified flow: a U-Net that predicts a velocity (paper C.2; Liu et al. 2023)."""

import torch
from torch import Tensor, nn

from lzn.networks.blocks import MiddleBlocks
from lzn.networks.down_path import DownPath
from lzn.networks.embeddings import ConditionEmbedding, scaled_time
from lzn.networks.shape_checks import check_condition, check_images, check_times
from lzn.networks.unet_config import UNetConfig
from lzn.networks.up_path import UpPath


class VelocityUNet(nn.Module):
    """Velocity ``x - eps`` of a noisy image ``x_t = (1 - t) eps + t x``, given latent and class.

    ``latent_dim`` is q of the latents, or 0 for plain rectified flow. ``num_classes`` is the length of the one-hot
    class, or 0 for unconditional networks.

    Raises:
        ValueError: ``latent_dim`` or ``num_classes`` is negative.
    """

    def __init__(self, config: UNetConfig, *, latent_dim: int = 0, num_classes: int = 0) -> None:
        super().__init__()
        if latent_dim < 0 or num_classes < 0:
            raise ValueError(f"latent_dim={latent_dim} and num_classes={num_classes} must be 0 or more")
        self.config = config
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        width = config.embedding_channels
        self.conditioning = ConditionEmbedding(config, latent_dim=latent_dim, num_classes=num_classes)
        self.down = DownPath(config, embedding_channels=width)
        self.middle = MiddleBlocks(
            config.level_channels[-1], embedding_channels=width, dropout=config.dropout
        )
        self.up = UpPath(config, skip_channels=self.down.map_channels, embedding_channels=width)

    def forward(
        self, x_t: Tensor, t: Tensor, latent: Tensor | None = None, class_one_hot: Tensor | None = None
    ) -> Tensor:
        """Predict the velocity (b, image_channels, h, w) at noisy images of that shape.

        Times ``t`` (b,) are in [0, 1]; the ``ncsnpp`` family needs t > 0, because it uses log t and divides by t.
        Latents are (b, latent_dim), one-hot classes (b, num_classes). Each is None if the network has none.

        Raises:
            ValueError: a tensor has another shape, is missing, or is not an input of this network.
        """
        self._check(x_t, t, latent, class_one_hot)
        time = scaled_time(t.to(torch.promote_types(x_t.dtype, torch.float32)))  # bfloat16 has 8 bits
        embedding = self.conditioning(time, latent, class_one_hot)
        maps = self.down(x_t, embedding)
        velocity: Tensor = self.up(self.middle(maps[-1][-1], embedding), maps, embedding)
        return velocity / time[:, None, None, None] if self.config.traits.output_over_time else velocity

    def _check(self, x_t: Tensor, t: Tensor, latent: Tensor | None, class_one_hot: Tensor | None) -> None:
        batch = len(x_t)
        check_images(x_t, channels=self.config.image_channels, size=self.config.image_size)
        check_times(t, batch=batch)
        check_condition("latent", latent, setting="latent_dim", width=self.latent_dim, batch=batch)
        check_condition(
            "class_one_hot", class_one_hot, setting="num_classes", width=self.num_classes, batch=batch
        )
