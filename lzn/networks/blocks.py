"""The two building blocks of the U-Nets: BigGAN-type residual blocks and single-head self-attention."""

import math

from torch import Tensor, nn
from torch.nn import functional

from lzn.networks.initialisation import NEAR_ZERO, conv, dense
from lzn.networks.recomputation import RecomputableBlock, recomputable
from lzn.networks.sample_dropout import SampleDropout

ATTENTION_SCALE = 0.1
"""Initial scale of the query, key and value projections, so that attention is nearly uniform at first."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Build a GroupNorm with four channels per group, but at most 32 groups."""
    return nn.GroupNorm(min(channels // 4, 32), channels, eps=1e-6)


class ResidualBlock(RecomputableBlock):
    """Norm, swish, [resample], conv, [+ embedding], norm, swish, dropout, conv; plus the skip; divided by sqrt 2.

    With ``resample`` the block changes the resolution of both branch and skip. The skip is a 1x1 convolution if the
    number of channels or the resolution changes. Without ``embedding_channels`` the block takes no embedding.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        embedding_channels: int | None,
        dropout: float,
        resample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm_in = group_norm(in_channels)
        self.resample = resample or nn.Identity()
        self.conv_in = conv(in_channels, out_channels, kernel=3)
        self.projection = dense(embedding_channels, out_channels) if embedding_channels else None
        self.norm_out = group_norm(out_channels)
        self.dropout = SampleDropout(dropout)
        self.conv_out = conv(out_channels, out_channels, kernel=3, scale=NEAR_ZERO)
        changes = in_channels != out_channels or resample is not None
        self.skip = conv(in_channels, out_channels, kernel=1) if changes else nn.Identity()

    @recomputable
    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Map (b, in_channels, h, w) and an embedding (b, embedding_channels) to (b, out_channels, h', w')."""
        branch = self.conv_in(self.resample(functional.silu(self.norm_in(x))))
        if self.projection is not None:
            assert embedding is not None
            branch = branch + self.projection(embedding)[:, :, None, None]
        branch = self.conv_out(self.dropout(functional.silu(self.norm_out(branch))))
        output: Tensor = (self.skip(self.resample(x)) + branch) / math.sqrt(2)
        return output


class AttentionBlock(RecomputableBlock):
    """Single-head self-attention over the pixels of a map, added to the map; divided by sqrt 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.query = dense(channels, channels, scale=ATTENTION_SCALE)
        self.key = dense(channels, channels, scale=ATTENTION_SCALE)
        self.value = dense(channels, channels, scale=ATTENTION_SCALE)
        self.out = dense(channels, channels, scale=NEAR_ZERO)

    @recomputable
    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        pixels = self.norm(x).flatten(2).transpose(1, 2)[:, None]  # (b, c, h, w) => (b, 1 head, h*w, c)
        mixed = functional.scaled_dot_product_attention(
            self.query(pixels), self.key(pixels), self.value(pixels)
        )
        branch = self.out(mixed)[:, 0].transpose(1, 2).unflatten(2, x.shape[2:])
        output: Tensor = (x + branch) / math.sqrt(2)
        return output


class MiddleBlocks(nn.Module):
    """Blocks between the down path and the up path: residual, attention, residual."""

    def __init__(self, channels: int, *, embedding_channels: int | None, dropout: float) -> None:
        super().__init__()
        self.block_in = ResidualBlock(
            channels, channels, embedding_channels=embedding_channels, dropout=dropout
        )
        self.attention = AttentionBlock(channels)
        self.block_out = ResidualBlock(
            channels, channels, embedding_channels=embedding_channels, dropout=dropout
        )

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Map (b, c, h, w) to (b, c, h, w)."""
        output: Tensor = self.block_out(self.attention(self.block_in(x, embedding)), embedding)
        return output
