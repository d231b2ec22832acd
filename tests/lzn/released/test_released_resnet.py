"""A released ResNet-50 computes in our network what it computes by its own names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from lzn_testing.models.released_files import random, released_shapes, write_released
from lzn_testing.oracles.released_resnet import State, anchors, representations
from torch import Tensor

from lzn.networks import ResNetEncoder
from lzn.released import Parts, fill_from_released, load_released

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
    """Full-size, with random weights; the average is as random as the last iteration."""
    path = tmp_path_factory.mktemp("released") / "imagenet.pt"
    weights = random(torch.Generator().manual_seed(1))
    return Released(path, write_released(path, "imagenet", raw=weights, average=weights))


def relative_error(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("ema", [False, True], ids=["raw", "ema"])
@torch.no_grad()
def test_our_network_computes_what_the_released_names_say(released: Released, ema: bool) -> None:
    encoder = load_released(released.path, study="imagenet", ema=ema).encoder
    assert isinstance(encoder, ResNetEncoder)
    state = released.state(ema=ema)
    representation = representations(state, IMAGES)
    # the same operations in the same order
    assert relative_error(encoder(IMAGES, with_head=False), representation) < 1e-5
    assert relative_error(encoder(IMAGES), anchors(state, representation)) < 1e-5


def test_a_head_of_one_layer_is_another_network(released: Released) -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder(head_layers=1)
    with pytest.raises(
        ValueError, match=r"unexpected: head.layers.3.weight.*misshapen: head.layers.0.weight"
    ):
        fill_from_released(released.path, Parts(encoder=encoder))


def test_a_smaller_network_is_filled_as_well(tmp_path: Path) -> None:
    """Our ResNet-14 has the released names of the blocks that it has."""
    shallow = {
        name: (16 if shape[0] == 256 and name.startswith("head") else shape[0], *shape[1:])
        for name, shape in released_shapes("imagenet")["encoder"].items()
        if "blocks.0." in name or "blocks." not in name
    }
    values = random(torch.Generator().manual_seed(3))
    state = {PREFIX + name: values(shape) for name, shape in shallow.items()}
    path = tmp_path / "shallow.pt"
    torch.save({"encoder": state}, path)
    encoder = ResNetEncoder(depth=14, head_dim=16)
    fill_from_released(path, Parts(encoder=encoder), ema=False)
    norms = [f"{PREFIX}net.{number}.blocks.0.net.5.0.weight" for number in (1, 2, 3, 4)]
    for stage, norm in zip(encoder.stages, norms, strict=True):
        assert torch.equal(stage[0].norm_expand.weight, state[norm])
