"""The U-Nets: gradients of all parameters, dependence on the conditions, and errors for wrong shapes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lzn_testing.models.unet_settings import TINY_16, TINY_32
from torch import Tensor

from lzn.networks import LatentEncoder, UNetConfig, VelocityUNet

FAMILIES = pytest.mark.parametrize("config", [TINY_16, TINY_32], ids=["ddpmpp", "ncsnpp"])


def images(config: UNetConfig, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    size = config.image_size
    return torch.randn(batch, config.image_channels, size, size, generator=generator)


def decoder_and_inputs(config: UNetConfig, *, new: bool = False) -> tuple[VelocityUNet, tuple[Tensor, ...]]:
    """Build a decoder of latents (b, 10) and 4 classes; unless ``new``, no layer is near zero."""
    torch.manual_seed(0)
    decoder = VelocityUNet(config, latent_dim=10, num_classes=4).eval()
    if not new:
        for parameter in decoder.parameters():
            if parameter.ndim > 1:
                torch.nn.init.xavier_uniform_(parameter)
    one_hot = torch.eye(4)[:3]
    return decoder, (images(config), torch.tensor([0.2, 0.5, 0.9]), torch.randn(3, 10), one_hot)


def without_gradient(network: torch.nn.Module) -> list[str]:
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]


def is_key_bias(name: str) -> bool:
    """Return whether it is a bias of keys, whose gradient is 0: it shifts all logits of a query by one constant."""
    return name.endswith("key.bias")


@FAMILIES
def test_a_new_decoder_is_finite_and_every_parameter_has_a_gradient(config: UNetConfig) -> None:
    decoder, inputs = decoder_and_inputs(config, new=True)
    velocity = decoder(*inputs)
    assert velocity.shape == inputs[0].shape
    assert velocity.isfinite().all()
    # Near-zero layers scale gradients by 1e-5 each; float32 still represents them.
    (velocity - inputs[0]).square().mean().backward()
    assert [name for name in without_gradient(decoder) if not is_key_bias(name)] == []


@FAMILIES
def test_a_new_encoder_is_finite_and_every_parameter_has_a_gradient(config: UNetConfig) -> None:
    torch.manual_seed(0)
    encoder = LatentEncoder(config, latent_dim=10, block_channels=4, block_units=12)
    anchors = encoder(images(config))
    assert anchors.shape == (3, 10)
    assert anchors.isfinite().all()
    anchors.square().sum().backward()
    assert [name for name in without_gradient(encoder) if not is_key_bias(name)] == []


@FAMILIES
def test_the_velocity_depends_on_each_condition_of_its_own_image_only(config: UNetConfig) -> None:
    decoder, inputs = decoder_and_inputs(config)
    with torch.no_grad():
        before = decoder(*inputs)
        for position in range(len(inputs)):
            changed = [tensor.clone() for tensor in inputs]
            changed[position][0] = inputs[position][1]
            difference = (decoder(*changed) - before).abs().amax(dim=(1, 2, 3))
            largest = before.abs().max()
            assert difference[0] > 1e-3 * largest
            # Images are independent up to float32 rounding of batched matrix products.
            assert difference[1:].max() < 1e-5 * largest


@FAMILIES
def test_a_new_decoder_predicts_nearly_zero(config: UNetConfig) -> None:
    decoder, inputs = decoder_and_inputs(config, new=True)
    # The last convolution's weights are of order 1e-5.
    assert decoder(*inputs).abs().max() < 1e-2


def test_dropout_is_active_only_in_training_mode() -> None:
    decoder, inputs = decoder_and_inputs(TINY_16)
    with torch.no_grad():
        assert torch.equal(decoder(*inputs), decoder(*inputs))
        decoder.train()
        assert not torch.equal(decoder(*inputs), decoder(*inputs))


def test_the_ncsnpp_velocity_is_divided_by_999_t() -> None:
    decoder, inputs = decoder_and_inputs(TINY_32)
    with torch.no_grad():
        summed = decoder.up(*captured_up_inputs(decoder, inputs))
        expected = summed / (999 * inputs[1])[:, None, None, None]
        torch.testing.assert_close(decoder(*inputs), expected)


def captured_up_inputs(decoder: VelocityUNet, inputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
    captured: list[tuple[Any, ...]] = []
    handle = decoder.up.register_forward_pre_hook(lambda _, args: captured.append(args))
    decoder(*inputs)
    handle.remove()
    return captured[0]


def test_an_encoder_uses_only_maps_of_its_latent_resolutions() -> None:
    encoder = LatentEncoder(TINY_32, latent_dim=10, latent_resolutions=(8,))
    # Maps of 8x8: the first of the level, that of its one block, and the middle's.
    assert len(encoder.latent_blocks) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 0}, "latent_dim=0"),
        ({"latent_dim": 4, "block_units": 0}, "block_units=0"),
        ({"latent_dim": 4, "latent_resolutions": (4,)}, r"latent_resolutions is \(4,\): .* \(16, 8\)"),
        ({"latent_dim": 4, "latent_resolutions": ()}, r"latent_resolutions is \(\)"),
    ],
)
def test_an_encoder_with_an_invalid_setting_raises(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LatentEncoder(TINY_16, **settings)


def test_a_decoder_with_a_negative_width_raises() -> None:
    with pytest.raises(ValueError, match="latent_dim=-1"):
        VelocityUNet(TINY_16, latent_dim=-1)


X, T, Z, Y = images(TINY_16), torch.full((3,), 0.5), torch.zeros(3, 10), torch.eye(4)[:3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u, _: u(X[:, :2], T, Z, Y), r"images have shape \(3, 2, 16, 16\): .* \(b, 3, 16, 16\)"),
        (lambda u, _: u(X[:, :, :8], T, Z, Y), r"images have shape \(3, 3, 8, 16\)"),
        (lambda u, _: u(X[0], T, Z, Y), r"images have shape \(3, 16, 16\)"),
        (lambda u, _: u(X, T[:1], Z, Y), r"t has shape \(1,\): .* \(3,\)"),
        (lambda u, _: u(X, T[0], Z, Y), r"t has shape \(\)"),
        (lambda u, _: u(X, T, None, Y), "latent is missing: .* latent_dim=10"),
        (lambda u, _: u(X, T, Z[:, :9], Y), r"latent has shape \(3, 9\): .* \(3, 10\)"),
        (lambda u, _: u(X, T, Z[:2], Y), r"latent has shape \(2, 10\)"),
        (lambda u, _: u(X, T, Z), "class_one_hot is missing: .* num_classes=4"),
        (lambda u, _: u(X, T, Z, torch.tensor([0, 1, 2])), r"class_one_hot has shape \(3,\)"),
        (lambda _, plain: plain(X, T, Z), "latent was given to a network with latent_dim=0"),
        (lambda _, plain: plain(X, T, None, Y), "class_one_hot was given to a network with num_classes=0"),
    ],
)
def test_an_error_names_the_wrong_tensor_and_the_expected_shape(
    call: Callable[[VelocityUNet, VelocityUNet], Tensor], message: str
) -> None:
    conditioned = VelocityUNet(TINY_16, latent_dim=10, num_classes=4)
    plain = VelocityUNet(TINY_16)
    with pytest.raises(ValueError, match=message):
        call(conditioned, plain)


def test_an_encoder_raises_for_images_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"images have shape \(3, 3, 32, 32\)"):
        LatentEncoder(TINY_16, latent_dim=4)(images(TINY_32))
