"""Full-size checkpoints in the released format, with weights that the tests choose, and how outputs are compared."""

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
"""Keys of the studies in released_state_dict_shapes.json."""

NOT_READ = "decoder.sigmas"
NOT_TRAINED = {NOT_READ, "decoder.all_modules.0.W"}
"""Buffers, which have no average. The second one has the Fourier frequencies of 256x256 networks."""

Weights = Callable[[tuple[int, ...]], Tensor]


def released_shapes(study: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return shapes by module and name, in the order of the files; with label anchors if the study has them."""
    modules = json.loads((REFERENCE / "released_state_dict_shapes.json").read_text())[CASE_STUDIES[study]]
    shapes = {module: {name: tuple(shape) for name, shape in of.items()} for module, of in modules.items()}
    return shapes | ({"label_anchor": {"anchor": (10, 200)}} if study == "cifar10_joint" else {})


def write_released(path: Path, study: str, *, raw: Weights, average: Weights) -> Mapping[str, Any]:
    """Write a checkpoint with raw weights from ``raw`` and an EMA from ``average``; return its content."""
    content: dict[str, Any] = {"optimizer": {}, "epoch": 7, "iteration": 4321}
    for module, shapes in released_shapes(study).items():
        content[module] = {f"model.module.{name}": raw(shape) for name, shape in shapes.items()}
        averaged = [average(shape) for name, shape in shapes.items() if is_trained(f"{module}.{name}")]
        content[f"{module}_ema"] = {"decay": 0.9999, "num_updates": 1234, "shadow_params": averaged}
    torch.save(content, path)
    return content


def is_trained(name: str) -> bool:
    """Return whether a tensor, named ``module.name``, has an average."""
    return name not in NOT_TRAINED


def numbered_weights(first: int = 0) -> Weights:
    """Return constant tensors ``first``, ``first + 1``, ...: 600 MB of tensors take a few kB in a file."""
    value = first - 1

    def make(shape: tuple[int, ...]) -> Tensor:
        nonlocal value
        value += 1
        return torch.tensor(float(value)).expand(shape)

    return make


def random_weights(generator: torch.Generator) -> Weights:
    """Return random weights that keep activations at scale 1: matrices scaled by fan-in, vectors around 1."""

    def make(shape: tuple[int, ...]) -> Tensor:
        noise = torch.randn(shape, generator=generator)
        return noise / noise[0].numel() ** 0.5 if len(shape) > 1 else 1 + 0.1 * noise

    return make


def max_relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return max |actual - expected| / max |expected|."""
    return float((actual - expected).abs().max() / expected.abs().max())
