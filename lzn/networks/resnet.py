"""The encoder of case study 2: a ResNet with GroupNorm and a projection head (paper D.2).

The layout is that of SimCLR v2 (Chen et al. 2020, "Big Self-Supervised Models are Strong Semi-Supervised Learners").
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.networks.own_precision import in_own_precision
from lzn.networks.recomputation import RecomputableBlock, recomputable
from lzn.networks.shape_checks import check_images

BLOCKS_PER_STAGE = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Number of bottlenecks in each of the four stages, by depth."""

EXPANSION = 4
"""Output channels of a bottleneck, divided by its inner channels."""

HEAD_CHANNELS_PER_GROUP = 8
"""Smallest number of channels per group in the head's GroupNorm; the paper's head has 256 channels in 32 groups."""


class Bottleneck(RecomputableBlock):
    """1x1, 3x3 (with the stride) and 1x1 convolutions, each with GroupNorm, plus a shortcut.

    The weight of the last GroupNorm is 0 at first, so that the block equals its shortcut. The shortcut is a projection
    in the first block of a stage, else the identity.
    """

    def __init__(self, in_channels: int, width: int, *, stride: int, groups: int, projects: bool) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        self.conv_reduce = _conv(in_channels, width, kernel=1)
        self.norm_reduce = nn.GroupNorm(groups, width)
        self.conv_spatial = _conv(width, width, kernel=3, stride=stride)
        self.norm_spatial = nn.GroupNorm(groups, width)
        self.conv_expand = _conv(width, out_channels, kernel=1)
        self.norm_expand = nn.GroupNorm(groups, out_channels)
        nn.init.zeros_(self.norm_expand.weight)
        self.shortcut: nn.Module = nn.Identity()
        if projects:
            projection = _conv(in_channels, out_channels, kernel=1, stride=stride)
            self.shortcut = nn.Sequential(projection, nn.GroupNorm(groups, out_channels))

    @recomputable
    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, h, w) to (b, 4 width, h / stride, w / stride)."""
        branch = functional.relu(self.norm_reduce(self.conv_reduce(x)))
        branch = functional.relu(self.norm_spatial(self.conv_spatial(branch)))
        branch = self.norm_expand(self.conv_expand(branch))
        return functional.relu(self.shortcut(x) + branch)


class ProjectionHead(nn.Module):
    """Dense layers without bias, each with GroupNorm, and ReLU between them: representation to anchor."""

    def __init__(self, in_features: int, out_features: int, *, num_layers: int, max_groups: int) -> None:
        super().__init__()
        features = [*(in_features for _ in range(num_layers)), out_features]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(features):
            groups = math.gcd(max_groups, outputs // HEAD_CHANNELS_PER_GROUP)
            layers += [nn.Linear(inputs, outputs, bias=False), nn.GroupNorm(groups, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, representation: Tensor) -> Tensor:
        """Map (b, in_features) to (b, out_features), in the dtype of the parameters."""
        return in_own_precision(self.layers, representation)


class ResNetEncoder(nn.Module):
    """A backbone from images to representations, and a head from representations to anchors.

    ``depth`` is 50 in the paper; 26 and 14 have fewer blocks. ``stem`` is ``"imagenet"`` (7x7 with stride 2 and max
    pooling) or ``"small"`` (3x3, stride 1, no pooling) for images of about 32x32 and smaller. The head has
    ``head_layers`` dense layers: 2 in the released configuration (28 231 232 parameters); 1 gives the 24 032 832
    parameters that the paper states.

    GroupNorm has gcd(base_channels / 2, 32) groups in every layer of the backbone: 32 with the paper's 64 base
    channels, and the same number of channels per group in narrower networks. The head has at most that number, with at
    least 8 channels per group: with one or two, the GroupNorm of a vector would keep only signs.

    Raises:
        ValueError: ``depth`` or ``stem`` is unknown, or a width is not a multiple of its groups.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        head_dim: int = 256,
        head_layers: int = 2,
        base_channels: int = 64,
        stem: Literal["imagenet", "small"] = "imagenet",
        image_channels: int = 3,
    ) -> None:
        super().__init__()
        _check_settings(
            depth=depth,
            head_dim=head_dim,
            head_layers=head_layers,
            base_channels=base_channels,
            stem=stem,
            image_channels=image_channels,
        )
        groups = math.gcd(base_channels // 2, 32)
        self.image_channels = image_channels
        self.representation_dim = 8 * EXPANSION * base_channels
        self.stem = _stem(image_channels, base_channels, groups=groups, kind=stem)
        self.stages = nn.ModuleList(_stages(BLOCKS_PER_STAGE[depth], base_channels, groups=groups))
        self.head = ProjectionHead(
            self.representation_dim, head_dim, num_layers=head_layers, max_groups=groups
        )

    def forward(self, images: Tensor, with_head: bool = True) -> Tensor:
        """Map images (b, image_channels, h, w) in [-1, 1] to anchors (b, head_dim).

        Without the head, the result is representations (b, representation_dim): the mean of the last maps over pixels.

        Raises:
            ValueError: the images have another number of channels or axes.
        """
        check_images(images, channels=self.image_channels)
        x = self.stem((images + 1) / 2)
        for stage in self.stages:
            x = stage(x)
        representation: Tensor = x.mean(dim=(2, 3), dtype=torch.promote_types(x.dtype, torch.float32))
        return self.head(representation) if with_head else representation


def _stem(image_channels: int, channels: int, *, groups: int, kind: str) -> nn.Sequential:
    if kind == "small":
        return nn.Sequential(
            _conv(image_channels, channels, kernel=3), nn.GroupNorm(groups, channels), nn.ReLU()
        )
    convolution = _conv(image_channels, channels, kernel=7, stride=2)
    pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.GroupNorm(groups, channels), nn.ReLU(), pool)


def _stages(num_blocks: tuple[int, ...], base_channels: int, *, groups: int) -> Iterator[nn.Sequential]:
    """Yield the stages: each doubles the width and, except for the first, halves the resolution."""
    in_channels = base_channels
    for stage, blocks in enumerate(num_blocks):
        width = base_channels * 2**stage
        stride = 2 if stage else 1
        first = Bottleneck(in_channels, width, stride=stride, groups=groups, projects=True)
        in_channels = EXPANSION * width
        rest = (
            Bottleneck(in_channels, width, stride=1, groups=groups, projects=False) for _ in range(blocks - 1)
        )
        yield nn.Sequential(first, *rest)


def _conv(in_channels: int, out_channels: int, *, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Build a convolution without bias, because GroupNorm follows, with He initialisation."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _check_settings(
    *, depth: int, head_dim: int, head_layers: int, base_channels: int, stem: str, image_channels: int
) -> None:
    if depth not in BLOCKS_PER_STAGE:
        raise ValueError(f"depth is {depth}: it must be one of {', '.join(map(str, BLOCKS_PER_STAGE))}")
    if stem not in ("imagenet", "small"):
        raise ValueError(f'stem is {stem!r}: it must be "imagenet" or "small"')
    if head_layers < 1 or image_channels < 1:
        raise ValueError(f"head_layers={head_layers} and image_channels={image_channels} must be at least 1")
    if base_channels < 2 or base_channels % 2:
        raise ValueError(f"base_channels is {base_channels}: it must be a positive even number")
    if head_dim < HEAD_CHANNELS_PER_GROUP or head_dim % HEAD_CHANNELS_PER_GROUP:
        raise ValueError(
            f"head_dim is {head_dim}: it must be a positive multiple of {HEAD_CHANNELS_PER_GROUP}"
        )
