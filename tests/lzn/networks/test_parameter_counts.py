"""The networks have exactly the numbers of parameters that the paper states (C.3, D.3, E.3)."""

import pytest
import torch
from lzn_testing.models.unet_settings import PAPER_32, PAPER_256, PAPER_256_LATENT_RESOLUTIONS

from lzn.networks import LatentEncoder, ResNetEncoder, UNetConfig, VelocityUNet


def count(network: torch.nn.Module) -> int:
    """Count the numbers in the state dict: parameters, and the 128 fixed Fourier frequencies of 256x256 decoders.

    The paper counts them as parameters; here they are a buffer, the only one in the state dict.
    """
    return sum(tensor.numel() for tensor in network.state_dict().values())


@pytest.mark.parametrize(
    ("config", "latent_dim", "num_classes", "expected"),
    [
        (PAPER_32, 0, 0, 61_804_419),
        (PAPER_32, 200, 0, 61_906_819),
        (PAPER_32, 0, 10, 61_809_539),
        (PAPER_32, 200, 10, 61_911_939),
        (PAPER_256, 0, 0, 65_574_549),
        (PAPER_256, 200, 0, 65_676_949),
    ],
)
def test_decoders_have_as_many_parameters_as_the_paper_states(
    config: UNetConfig, latent_dim: int, num_classes: int, expected: int
) -> None:
    with torch.device("meta"):
        decoder = VelocityUNet(config, latent_dim=latent_dim, num_classes=num_classes)
    assert count(decoder) == expected


@pytest.mark.parametrize(
    ("config", "latent_resolutions", "expected"),
    [(PAPER_32, None, 49_790_260), (PAPER_256, PAPER_256_LATENT_RESOLUTIONS, 87_768_896)],
)
def test_latent_encoders_have_as_many_parameters_as_the_paper_states(
    config: UNetConfig, latent_resolutions: tuple[int, ...] | None, expected: int
) -> None:
    with torch.device("meta"):
        encoder = LatentEncoder(config, latent_dim=200, latent_resolutions=latent_resolutions)
    assert count(encoder) == expected


@pytest.mark.parametrize(("head_layers", "expected"), [(1, 24_032_832), (2, 28_231_232)])
def test_resnet_50_has_as_many_parameters_as_the_paper_and_the_release(
    head_layers: int, expected: int
) -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder(head_layers=head_layers)
    assert count(encoder) == expected


def test_only_the_fourier_frequencies_are_not_trained() -> None:
    with torch.device("meta"):
        decoder = VelocityUNet(PAPER_256, latent_dim=200)
    trained = sum(parameter.numel() for parameter in decoder.parameters() if parameter.requires_grad)
    assert count(decoder) - trained == 128
