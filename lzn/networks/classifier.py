"""A small classifier whose features replace Inception's for small grey images.

Features of a classifier trained on the same data are common practice for digits and similar images. A Frechet distance
between them is named after the classifier, not FID.
"""

from torch import Tensor, nn

from lzn.networks.shape_checks import check_images

SMALLEST_SIZE = 4
"""Stages halve the resolution while height and width remain at least this many pixels."""


class ImageClassifier(nn.Module):
    """Convolutions with GroupNorm, down to maps of 4x4 to 7x7 pixels, then dense layers.

    The first stage has ``base_channels`` channels, and each further stage doubles them. ``image_size`` is in pixels.

    Raises:
        ValueError: ``image_size`` is below 4, ``base_channels`` is not a multiple of 8, or another number is below 1.
    """

    def __init__(
        self,
        *,
        image_size: int,
        image_channels: int,
        num_classes: int,
        base_channels: int,
        feature_dim: int = 128,
    ) -> None:
        super().__init__()
        if image_size < SMALLEST_SIZE or min(image_channels, num_classes, feature_dim) < 1:
            raise ValueError(
                f"image_size={image_size} must be at least {SMALLEST_SIZE}; image_channels={image_channels}, "
                f"num_classes={num_classes} and feature_dim={feature_dim} at least 1"
            )
        if base_channels < 8 or base_channels % 8:
            raise ValueError(f"base_channels is {base_channels}: it must be a positive multiple of 8")
        self.image_size = image_size
        self.image_channels = image_channels
        self.feature_dim = feature_dim
        layers = [*_convolution(image_channels, base_channels)]
        channels, resolution = base_channels, image_size
        while resolution >= 2 * SMALLEST_SIZE:
            layers += [*_convolution(channels, 2 * channels), nn.AvgPool2d(2)]
            channels, resolution = 2 * channels, resolution // 2
        layers += [nn.Flatten(), nn.Linear(channels * resolution**2, feature_dim), nn.SiLU()]
        self.trunk = nn.Sequential(*layers)
        self.to_logits = nn.Linear(feature_dim, num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Map images (b, image_channels, h, w) in [-1, 1] to the last layer's inputs (b, feature_dim).

        Raises:
            ValueError: the images have another shape.
        """
        check_images(images, channels=self.image_channels, size=self.image_size)
        features: Tensor = self.trunk(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map images (b, image_channels, h, w) in [-1, 1] to logits (b, num_classes).

        Raises:
            ValueError: the images have another shape.
        """
        logits: Tensor = self.to_logits(self.features(images))
        return logits


def _convolution(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.GroupNorm(8, out_channels), nn.SiLU()
