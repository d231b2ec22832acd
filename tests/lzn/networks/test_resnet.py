"""The ResNet of case study 2: shapes, groups, initialisation, gradients and errors."""

import json
from typing import Any

import pytest
import torch
from lzn_testing import PROJECT

from lzn.networks import ResNetEncoder
from lzn.networks.resnet import Bottleneck

SHAPES = PROJECT / "tests" / "reference" / "released_state_dict_shapes.json"


def small(**changes: Any) -> ResNetEncoder:
    torch.manual_seed(0)
    settings = {"depth": 14, "head_dim": 32, "base_channels": 8, "stem": "small", "image_channels": 1}
    return ResNetEncoder(**{**settings, **changes})


def batch(channels: int = 1, size: int = 8) -> torch.Tensor:
    return torch.rand(4, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_resnet_50_has_the_released_tensor_shapes() -> None:
    released = json.loads(SHAPES.read_text())["case_study_2"]["encoder"]
    with torch.device("meta"):
        ours = ResNetEncoder().state_dict()
    assert sorted(tuple(tensor.shape) for tensor in ours.values()) == sorted(map(tuple, released.values()))


def test_every_norm_of_resnet_50_has_32_groups() -> None:
    with torch.device("meta"):
        norms = [m for m in ResNetEncoder().modules() if isinstance(m, torch.nn.GroupNorm)]
    # Stem, three in each of 16 blocks, four projections, two in the head.
    assert [norm.num_groups for norm in norms] == [32] * (1 + 3 * 16 + 4 + 2)


def test_groups_of_a_narrow_head_have_at_least_eight_channels() -> None:
    norms = [m for m in small(base_channels=64).head.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert [norm.num_channels // norm.num_groups for norm in norms] == [64, 8]


@pytest.mark.parametrize("depth", [14, 26])
@pytest.mark.parametrize(("stem", "size"), [("small", 8), ("imagenet", 64)])
def test_anchors_and_representations_have_the_documented_shapes(depth: int, stem: str, size: int) -> None:
    encoder = small(depth=depth, stem=stem)
    assert encoder(batch(size=size)).shape == (4, 32)
    assert encoder.representation_dim == 256
    assert encoder(batch(size=size), with_head=False).shape == (4, encoder.representation_dim)


def test_the_last_maps_of_224x224_images_are_7x7() -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder()
        x = encoder.stem(torch.empty(1, 3, 224, 224))
        sizes = [x.shape[-1]]
        for stage in encoder.stages:
            x = stage(x)
            sizes.append(x.shape[-1])
    assert sizes == [56, 56, 28, 14, 7]


def test_anchors_are_the_heads_output_for_representations() -> None:
    encoder = small()
    torch.testing.assert_close(encoder(batch()), encoder.head(encoder(batch(), with_head=False)))


def test_the_first_layer_gets_images_between_0_and_1() -> None:
    encoder = small()
    inputs: list[torch.Tensor] = []
    encoder.stem.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    encoder(torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 1, 8, 8))
    torch.testing.assert_close(inputs[0][:, 0, 0, 0], torch.tensor([0.0, 0.5, 1.0]))


def test_a_new_block_equals_its_shortcut() -> None:
    torch.manual_seed(0)
    block = Bottleneck(32, 8, stride=1, groups=4, projects=False)
    x = torch.randn(2, 32, 4, 4)
    torch.testing.assert_close(block(x), x.relu())


def test_every_parameter_has_a_gradient_when_no_norm_is_zero() -> None:
    encoder = small(depth=26)
    for module in encoder.modules():
        if isinstance(module, Bottleneck):
            torch.nn.init.ones_(module.norm_expand.weight)  # at 0, layers before it have no gradient
    weights = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    (encoder(batch()) * weights).sum().backward()
    without_gradient = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert without_gradient == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 18}, "depth is 18: it must be one of 14, 26, 50"),
        ({"stem": "cifar"}, "stem is 'cifar'"),
        ({"head_layers": 0}, "head_layers=0"),
        ({"image_channels": 0}, "image_channels=0"),
        ({"base_channels": 7}, "base_channels is 7"),
        ({"head_dim": 12}, "head_dim is 12: it must be a positive multiple of 8"),
    ],
)
def test_an_error_names_the_setting_and_what_is_allowed(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**change)


def test_images_with_another_number_of_channels_raise() -> None:
    with pytest.raises(ValueError, match=r"images have shape \(4, 3, 8, 8\): .* \(b, 1, height, width\)"):
        small()(batch(channels=3))
