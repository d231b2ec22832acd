"""Activation checkpointing: equal gradients, also with dropout, and less memory for the backward pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from lzn_testing.models.tiny_models import perturbed
from lzn_testing.models.unet_settings import TINY_16, TINY_32
from torch import Tensor, nn

from lzn.networks import (
    ImageClassifier,
    LatentEncoder,
    ResNetEncoder,
    VelocityUNet,
    checkpoint_activations,
)

DEEP_16 = replace(TINY_16, blocks_per_level=4)


def decoder() -> nn.Module:
    return VelocityUNet(DEEP_16, latent_dim=4)


def fir_decoder() -> nn.Module:
    return VelocityUNet(TINY_32, latent_dim=4)


def encoder() -> nn.Module:
    return LatentEncoder(DEEP_16, latent_dim=8, block_channels=2, block_units=8)


def resnet() -> nn.Module:
    return ResNetEncoder(depth=26, head_dim=16, base_channels=16, stem="small")


NETWORKS = [decoder, fir_decoder, encoder, resnet]


def new_network(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return perturbed(build())


def loss_of(network: nn.Module) -> Tensor:
    """Compute a scalar to differentiate; dropout masks are those of seed 1."""
    generator = torch.Generator().manual_seed(2)
    size = network.config.image_size if hasattr(network, "config") else 16
    images = torch.rand(2, 3, size, size, generator=generator) * 2 - 1
    torch.manual_seed(1)
    if isinstance(network, VelocityUNet):
        output = network(images, torch.tensor([0.2, 0.7]), torch.randn(2, 4, generator=generator))
    else:
        output = network(images)
    return output.square().mean()


def gradients(network: nn.Module, *, autocast: bool = False) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = loss_of(network)
    loss.backward()
    return {name: p.grad for name, p in network.named_parameters()}


def bytes_saved(network: nn.Module) -> int:
    """Return the bytes saved for the backward pass, without the parameters."""
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss_of(network)
    return sum(storages.values())


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("build", NETWORKS)
def test_gradients_are_equal_with_dropout_and_autocast(
    build: Callable[[], nn.Module], autocast: bool
) -> None:
    plain, checkpointed = new_network(build), new_network(build)
    checkpoint_activations(checkpointed)
    expected = gradients(plain, autocast=autocast)
    for name, gradient in gradients(checkpointed, autocast=autocast).items():
        # The operations are equal; the order of sums over threads is not fixed.
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("build", NETWORKS)
def test_less_than_a_third_of_the_memory_is_saved(build: Callable[[], nn.Module]) -> None:
    network = new_network(build)
    before = bytes_saved(network)
    checkpoint_activations(network)
    assert bytes_saved(network) < before / 3


@pytest.mark.parametrize("build", NETWORKS)
def test_names_of_tensors_and_outputs_without_gradients_do_not_change(build: Callable[[], nn.Module]) -> None:
    plain, checkpointed = new_network(build), new_network(build)
    checkpoint_activations(checkpointed)
    assert checkpointed.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(loss_of(plain), loss_of(checkpointed))


def test_recomputation_does_not_change_the_state_of_the_global_generator() -> None:
    next_numbers = []
    for checkpointed in (False, True):
        network = new_network(decoder)
        if checkpointed:
            checkpoint_activations(network)
        gradients(network)
        next_numbers.append(torch.rand(3))
    assert torch.equal(*next_numbers)


def test_a_network_without_recomputable_blocks_raises() -> None:
    classifier = ImageClassifier(image_size=8, image_channels=1, num_classes=2, base_channels=8)
    with pytest.raises(ValueError, match="ImageClassifier has no block that can recompute"):
        checkpoint_activations(classifier)
