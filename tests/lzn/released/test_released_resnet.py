"""Our ResNet-50 with released weights equals a computation with the released names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from lzn_testing.models.released_files import (
    max_relative_error,
    random_weights,
    released_shapes,
    write_released,
)
from lzn_testing.oracles.released_resnet import State, anchors, representations

from lzn.networks import ResNetEncoder
from lzn.released import RunModules, load_released, load_weights_into

PREFIX = "model.module."
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1


class Released(NamedTuple):
    path: Path
    content: Mapping[str, Any]

    def state(self, *, ema: bool) -> State:
        raw = {name.removeprefix(PREFIX): tensor for name, tensor in self.content["encoder"].items()}
        averages = self.content["encoder_ema"]["shadow_params"]
        return dict(zip(raw, averages, strict=True)) if ema else raw


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """A full-size checkpoint. Its raw weights and its EMA are different random numbers."""
    path = tmp_path_factory.mktemp("released") / "imagenet.pt"
    weights = random_weights(torch.Generator().manual_seed(1))
    return Released(path, write_released(path, "imagenet", raw=weights, average=weights))


@pytest.mark.parametrize("ema", [False, True], ids=["raw", "ema"])
@torch.no_grad()
def test_our_network_equals_the_released_one_with_the_same_weights(released: Released, ema: bool) -> None:
    encoder = load_released(released.path, study="imagenet", ema=ema).encoder
    assert isinstance(encoder, ResNetEncoder)
    state = released.state(ema=ema)
    representation = representations(state, IMAGES)
    # Both do the same operations in the same order.
    assert max_relative_error(encoder(IMAGES, with_head=False), representation) < 1e-5
    assert max_relative_error(encoder(IMAGES), anchors(state, representation)) < 1e-5


def test_a_network_with_one_head_layer_is_refused(released: Released) -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder(head_layers=1)
    with pytest.raises(
        ValueError, match=r"unexpected: head.layers.3.weight.*wrong shape: head.layers.0.weight"
    ):
        load_weights_into(released.path, RunModules(encoder=encoder))


def test_weights_are_loaded_into_a_smaller_network(tmp_path: Path) -> None:
    """A ResNet-14 has the first block of each stage, with the same released names."""
    shallow = {
        name: (16 if shape[0] == 256 and name.startswith("head") else shape[0], *shape[1:])
        for name, shape in released_shapes("imagenet")["encoder"].items()
        if "blocks.0." in name or "blocks." not in name
    }
    values = random_weights(torch.Generator().manual_seed(3))
    state = {PREFIX + name: values(shape) for name, shape in shallow.items()}
    path = tmp_path / "shallow.pt"
    torch.save({"encoder": state}, path)
    encoder = ResNetEncoder(depth=14, head_dim=16)
    load_weights_into(path, RunModules(encoder=encoder), ema=False)
    norms = [f"{PREFIX}net.{number}.blocks.0.net.5.0.weight" for number in (1, 2, 3, 4)]
    for stage, norm in zip(encoder.stages, norms, strict=True):
        assert torch.equal(stage[0].norm_expand.weight, state[norm])
