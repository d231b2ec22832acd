"""Blocks and embeddings equal their formulas; blocks equal their shortcut at first."""

import math

import torch
from torch.nn import functional

from lzn.networks.blocks import AttentionBlock, ResidualBlock, group_norm
from lzn.networks.embeddings import FourierTime, SinusoidalTime, scaled_time

X = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))


def test_a_new_block_returns_its_input_divided_by_sqrt_2() -> None:
    torch.manual_seed(0)
    for block in (ResidualBlock(16, 16, embedding_channels=None, dropout=0.0), AttentionBlock(16)):
        # Initial weights of the last layer are about 1e-5, and its inputs are of order 1.
        torch.testing.assert_close(block(X), X / math.sqrt(2), atol=1e-3, rtol=0)


def test_attention_equals_its_formula() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(16)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    pixels = block.norm(X).flatten(2).transpose(1, 2)
    weights = (block.query(pixels) @ block.key(pixels).transpose(1, 2) / math.sqrt(16)).softmax(dim=-1)
    mixed = block.out(weights @ block.value(pixels))
    expected = (X + mixed.transpose(1, 2).reshape(X.shape)) / math.sqrt(2)
    # float32 sums over 16 pixels and 16 channels of numbers of order 1.
    torch.testing.assert_close(block(X), expected, atol=1e-5, rtol=1e-5)


def test_groups_have_four_channels_up_to_128_channels_and_above_there_are_32_groups() -> None:
    num_groups = [group_norm(channels).num_groups for channels in (4, 16, 48, 128, 256, 384)]
    assert num_groups == [1, 4, 12, 32, 32, 32]


def test_the_projected_embedding_is_added_to_every_channel() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(16, 16, embedding_channels=8, dropout=0.0)
    torch.nn.init.normal_(block.conv_out.weight)
    embedding = torch.randn(2, 8)
    branch = block.conv_in(functional.silu(block.norm_in(X))) + block.projection(embedding)[:, :, None, None]
    expected = (X + block.conv_out(functional.silu(block.norm_out(branch)))) / math.sqrt(2)
    torch.testing.assert_close(block(X, embedding), expected)


def test_time_is_scaled_to_999_and_clamped() -> None:
    torch.testing.assert_close(
        scaled_time(torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1])), torch.tensor([0.0, 0.0, 499.5, 999.0, 999.0])
    )


def test_sinusoidal_frequencies_decrease_from_1_to_one_ten_thousandth() -> None:
    features = SinusoidalTime(8)(torch.tensor([1.0]))[0]
    frequencies = torch.tensor([10_000 ** (-i / 7) for i in range(8)])
    torch.testing.assert_close(features, torch.cat([frequencies.sin(), frequencies.cos()]))


def test_fourier_features_use_the_logarithm_of_time() -> None:
    torch.manual_seed(0)
    embedding = FourierTime(4)
    time = torch.tensor([300.0])
    phase = 2 * math.pi * embedding.frequencies.double() * math.log(300.0)
    expected = torch.cat([phase.sin(), phase.cos()]).float()
    # Phases of up to 1e3 radians have float32 rounding errors of about 1e-4.
    torch.testing.assert_close(embedding(time)[0], expected, atol=1e-3, rtol=0)
