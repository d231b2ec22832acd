"""Under bfloat16, times and the last layers before an anchor are float32."""

from collections.abc import Callable

import pytest
import torch
from lzn_testing.models.tiny_models import TINY_8, tiny_decoder, tiny_encoder, tiny_representation
from torch import Tensor, nn

from lzn.networks import UNetConfig, VelocityUNet

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
TIMES = torch.tensor([0.5025, 0.505, 0.1, 0.9])
"""999 t is 501.997 and 504.495 for the first two, which bfloat16 rounds to 504."""


def times_inside(decoder: VelocityUNet, images: Tensor) -> Tensor:
    """Return the times that the conditioning of ``decoder`` gets."""
    seen: list[Tensor] = []
    handle = decoder.conditioning.time.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        decoder(images, TIMES.to(images.dtype) if images.dtype == torch.float64 else TIMES)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_times_are_not_rounded_to_the_type_of_the_images(dtype: torch.dtype) -> None:
    decoder = tiny_decoder()
    expected = times_inside(decoder, IMAGES)
    with torch.autocast("cpu", torch.bfloat16):
        found = times_inside(decoder, IMAGES.to(dtype))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert found[:2].tolist() == pytest.approx([501.9975, 504.495])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("family", ["ddpmpp", "ncsnpp"])
def test_a_network_of_another_dtype_has_times_of_at_least_float32(family: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    config = UNetConfig(**{**vars(TINY_8), "family": family})
    decoder = VelocityUNet(config).to(dtype)
    wanted = torch.promote_types(dtype, torch.float32)
    assert times_inside(decoder, IMAGES.to(dtype)).dtype == wanted
    assert decoder(IMAGES.to(dtype), TIMES.to(wanted)).isfinite().all()


@pytest.mark.parametrize(
    "build", [tiny_encoder, lambda: tiny_representation().encoder], ids=["unet", "resnet"]
)
def test_anchors_under_autocast_are_float32_and_not_rounded_to_bfloat16(
    build: Callable[[], nn.Module],
) -> None:
    encoder = build()
    with torch.autocast("cpu", torch.bfloat16):
        anchors = encoder(IMAGES)
    assert anchors.dtype == torch.float32
    assert (anchors != anchors.bfloat16().float()).float().mean() > 0.9
    exact = encoder(IMAGES)
    assert 0 < (anchors - exact).norm() < 0.05 * exact.norm()


def test_the_head_of_a_resnet_under_autocast_is_that_without_it() -> None:
    encoder = tiny_representation().encoder
    representation = encoder(IMAGES, with_head=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(IMAGES, with_head=False).dtype == torch.float32
        assert torch.equal(encoder.head(representation), encoder.head(representation.detach()))
        inside = encoder.head(representation)
    assert torch.equal(inside, encoder.head(representation))


def test_the_last_layer_of_a_latent_block_is_float32_under_autocast() -> None:
    encoder = tiny_encoder()
    dtypes: list[torch.dtype] = []
    for block in encoder.latent_blocks:
        block.dense_out.register_forward_hook(lambda _, inputs, output: dtypes.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        encoder(IMAGES)
    assert set(dtypes) == {torch.float32}


@pytest.mark.parametrize(
    "build", [tiny_encoder, lambda: tiny_representation().encoder], ids=["unet", "resnet"]
)
def test_an_encoder_of_bfloat16_weights_still_works(build: Callable[[], nn.Module]) -> None:
    assert build().bfloat16()(IMAGES.bfloat16()).isfinite().all()
