"""The folder of a trained seed, written and read."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.projects.trained_project import RUNS
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lzn.base.sections import ParamsError, validate
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import CONFIGURATION, WEIGHTS, TrainedConfiguration, read_trained, write_trained

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
T = torch.linspace(0.1, 0.9, 6)


def configuration_of(name: str) -> TrainedConfiguration:
    run = validate(RUNS[name], AnyRun, where=name)
    return TrainedConfiguration(name=name, size="digits", key="0123abcd", num_classes=10, run=run)


def written(folder: Path, name: str) -> nn.Module:
    """Write a model to ``folder`` whose weights are not the initial ones."""
    configuration = configuration_of(name)
    model = configuration.build_model()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    write_trained(folder, configuration, model)
    return model


@torch.no_grad()
def outputs(name: str, model: Any) -> list[torch.Tensor]:
    if name == "representation":
        return [model.encoder(IMAGES)]
    if name == "rf":
        return [model.decoder(IMAGES, T)]
    one_hot = torch.eye(10)[:6]
    anchors = model.encoder(IMAGES)
    return [anchors, model.decoder(IMAGES, T, anchors, one_hot), model.label_anchors.points]


@pytest.mark.parametrize("name", ["rf", "representation", "joint"])
def test_a_run_computes_the_same_after_writing_and_reading(tmp_path: Path, name: str) -> None:
    model = written(tmp_path, name)
    read = read_trained(tmp_path)
    assert read.configuration == configuration_of(name)
    assert read.run == configuration_of(name).run
    assert not read.model.training
    assert all(
        torch.equal(a, b) for a, b in zip(outputs(name, read.model), outputs(name, model), strict=True)
    )


def test_equal_weights_give_equal_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        written(tmp_path / folder, "joint")
    for file in (WEIGHTS, CONFIGURATION):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_weights_of_another_run_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "rf", "rf")
    written(tmp_path / "joint", "joint")
    (tmp_path / "rf" / WEIGHTS).write_bytes((tmp_path / "joint" / WEIGHTS).read_bytes())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        read_trained(tmp_path / "rf")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "joint")
    weights = load_file(tmp_path / WEIGHTS)
    weights["label_anchors.points"] = weights["label_anchors.points"][:5]
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(RuntimeError, match=r"size mismatch for label_anchors.points"):
        read_trained(tmp_path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "rf")
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(SafetensorError):
        read_trained(tmp_path)


def test_the_message_about_a_wrong_configuration_names_file_and_key(tmp_path: Path) -> None:
    written(tmp_path, "rf")
    content = json.loads((tmp_path / CONFIGURATION).read_text())
    content["run"]["unet"]["image_size"] = "8"
    (tmp_path / CONFIGURATION).write_text(json.dumps(content))
    with pytest.raises(ParamsError, match=r"run.json: run.unet.image_size: Input should be a valid integer"):
        read_trained(tmp_path)
