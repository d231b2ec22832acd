"""Full-size checkpoints in the released format, with weights that the tests choose."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lzn_testing import PROJECT

REFERENCE = PROJECT / "tests" / "reference"
CASE_STUDIES = {
    "cifar10": "case_study_1_cifar10",
    "afhq_cat": "case_study_1_afhqcat",
    "celeba_hq": "case_study_1_afhqcat",
    "lsun_bedroom": "case_study_1_afhqcat",
    "imagenet": "case_study_2",
    "cifar10_joint": "case_study_3",
}
"""Where released_state_dict_shapes.json has the shapes of each study."""

NOT_READ = "decoder.sigmas"
NOT_TRAINED = {NOT_READ, "decoder.all_modules.0.W"}
"""Tensors of which there is no average: buffers; the second are the Fourier frequencies of 256x256."""

Weights = Callable[[tuple[int, ...]], Tensor]


def released_shapes(study: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes by module and name, in the order of the files; with label anchors where the study has them."""
    modules = json.loads((REFERENCE / "released_state_dict_shapes.json").read_text())[CASE_STUDIES[study]]
    shapes = {module: {name: tuple(shape) for name, shape in of.items()} for module, of in modules.items()}
    return shapes | ({"label_anchor": {"anchor": (10, 200)}} if study == "cifar10_joint" else {})


def write_released(path: Path, study: str, *, raw: Weights, average: Weights) -> Mapping[str, Any]:
    """Write a checkpoint whose tensors ``raw`` and ``average`` make, and return its content."""
    content: dict[str, Any] = {"optimizer": {}, "epoch": 7, "iteration": 4321}
    for module, shapes in released_shapes(study).items():
        content[module] = {f"model.module.{name}": raw(shape) for name, shape in shapes.items()}
        averaged = [average(shape) for name, shape in shapes.items() if is_trained(f"{module}.{name}")]
        content[f"{module}_ema"] = {"decay": 0.9999, "num_updates": 1234, "shadow_params": averaged}
    torch.save(content, path)
    return content


def is_trained(name: str) -> bool:
    """Whether a tensor, named ``module.name``, is in its module's average."""
    return name not in NOT_TRAINED


def numbered(first: int = 0) -> Weights:
    """Weights of one value a tensor, ``first`` and on: 600 MB of distinct tensors in a file of a few kB."""
    value = first - 1

    def make(shape: tuple[int, ...]) -> Tensor:
        nonlocal value
        value += 1
        return torch.tensor(float(value)).expand(shape)

    return make


def random(generator: torch.Generator) -> Weights:
    """Weights that keep activations of size 1: by the fan-in of matrices, around 1 for what scales."""

    def make(shape: tuple[int, ...]) -> Tensor:
        noise = torch.randn(shape, generator=generator)
        return noise / noise[0].numel() ** 0.5 if len(shape) > 1 else 1 + 0.1 * noise

    return make
