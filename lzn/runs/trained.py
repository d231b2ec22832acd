"""One seed of a trained run on disk: averaged weights as safetensors, and beside them what rebuilds the model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lzn.base.files import load_weights, save_weights, write_json
from lzn.base.sections import Section, validate
from lzn.runs.configuration import AnyRun

WEIGHTS = "weights.safetensors"
CONFIGURATION = "run.json"


class TrainedConfiguration(Section):
    """Content of ``run.json``.

    ``run`` has the one seed of this training. ``key`` is the hash of configuration, code and data: the run's identity
    in MLflow. ``checkpoint_sha256`` is that of the released checkpoint from which the weights were read, None where
    they were trained here.
    """

    name: str
    size: str
    key: str
    num_classes: int
    checkpoint_sha256: str | None = None
    run: AnyRun

    def build_model(self) -> nn.Module:
        """The model with its initial weights, in evaluation mode and in the memory layout that convolutions like."""
        model: nn.Module = self.run.build_model(self.num_classes).eval()
        return model.to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class TrainedRun:
    """A trained model, in evaluation mode, and its configuration."""

    configuration: TrainedConfiguration
    model: Any
    """One of `lzn.studies`' models; which one, ``configuration.run`` says."""

    @property
    def run(self) -> AnyRun:
        """The run's configuration."""
        return self.configuration.run


def write_trained(folder: Path, configuration: TrainedConfiguration, model: nn.Module) -> None:
    """Write weights and configuration."""
    save_weights(model, folder / WEIGHTS)
    write_json(folder / CONFIGURATION, configuration.model_dump(mode="json"))


def read_configuration(folder: Path) -> TrainedConfiguration:
    """The configuration of the trained run in ``folder``.

    Raises:
        ParamsError: it is not one.
    """
    file = folder / CONFIGURATION
    configuration: TrainedConfiguration = validate(
        json.loads(file.read_text()), TrainedConfiguration, where=f"{file}: "
    )
    return configuration


def read_trained(folder: Path) -> TrainedRun:
    """The trained run in ``folder``.

    Raises:
        ParamsError: the configuration is not one.
        RuntimeError: the weights do not fit it.
    """
    configuration = read_configuration(folder)
    return TrainedRun(configuration, load_weights(configuration.build_model(), folder / WEIGHTS))
