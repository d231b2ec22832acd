"""The released ResNet-50 (paper D.2), computed from a state dict with the released names."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

State = Mapping[str, Tensor]


def representations(state: State, images: Tensor) -> Tensor:
    """Compute representations (b, 2048) of images (b, 3, h, w) in [-1, 1]."""
    x = functional.conv2d((images + 1) / 2, state["net.0.0.weight"], stride=2, padding=3)
    x = torch.relu(_norm(state, "net.0.1.0", x))
    x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for stage, num_blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(num_blocks):
            x = _bottleneck(state, f"net.{stage}.blocks.{block}", x, halves=stage > 1 and block == 0)
    return x.mean(dim=(2, 3))


def anchors(state: State, representation: Tensor) -> Tensor:
    """Compute anchors (b, 256) of representations (b, 2048)."""
    hidden = representation @ state["head.layers.0.weight"].T
    hidden = torch.relu(_norm(state, "head.layers.1", hidden))
    return _norm(state, "head.layers.4", hidden @ state["head.layers.3.weight"].T)


def _bottleneck(state: State, block: str, x: Tensor, *, halves: bool) -> Tensor:
    stride = 2 if halves else 1
    shortcut = x
    if f"{block}.projection.shortcut.weight" in state:
        shortcut = functional.conv2d(x, state[f"{block}.projection.shortcut.weight"], stride=stride)
        shortcut = _norm(state, f"{block}.projection.bn.0", shortcut)
    x = torch.relu(_norm(state, f"{block}.net.1.0", functional.conv2d(x, state[f"{block}.net.0.weight"])))
    x = functional.conv2d(x, state[f"{block}.net.2.weight"], stride=stride, padding=1)
    x = torch.relu(_norm(state, f"{block}.net.3.0", x))
    x = _norm(state, f"{block}.net.5.0", functional.conv2d(x, state[f"{block}.net.4.weight"]))
    return torch.relu(shortcut + x)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    return functional.group_norm(x, 32, state[f"{name}.weight"], state[f"{name}.bias"])
