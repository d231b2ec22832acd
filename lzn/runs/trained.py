"""The folder of a trained seed: EMA weights as safetensors, and the configuration as JSON."""

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


class CodeChange(Section):
    """A change of the code along a training: the step after which the new code ran, its commit, and changed files."""

    step: int
    commit: str
    files: tuple[str, ...]


class TrainedConfiguration(Section):
    """Content of ``run.json``.

    Attributes:
        name: the run's name.
        size: the size that it belongs to.
        key: hash of configuration, data and the code of the first step: the run's identity in MLflow.
        num_classes: classes of the data set.
        class_names: their names in the order of the labels; empty without classes.
        code_sha256: hash of the method's code without docstrings. It changes this file when the method changes, so that
            stages which read the file run again.
        code_changes: the changes of the code along the training, from a checkpoint on.
        checkpoint_sha256: hash of the released checkpoint with the weights; None for weights that were trained here.
        run: the configuration, with the one seed of this training.
    """

    name: str
    size: str
    key: str
    num_classes: int
    class_names: tuple[str, ...] = ()
    code_sha256: str | None = None
    code_changes: tuple[CodeChange, ...] = ()
    checkpoint_sha256: str | None = None
    run: AnyRun

    def build_model(self) -> nn.Module:
        """Return the model with its initial weights, in evaluation mode and in channels-last memory format."""
        model: nn.Module = self.run.build_model(self.num_classes).eval()
        return model.to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class TrainedRun:
    """A trained model in evaluation mode, and its configuration."""

    configuration: TrainedConfiguration
    model: Any
    """A model of `lzn.studies`; ``configuration.run.study`` names its class."""

    @property
    def run(self) -> AnyRun:
        """Return the configuration of the run."""
        return self.configuration.run


def write_trained(folder: Path, configuration: TrainedConfiguration, model: nn.Module) -> None:
    """Write weights and configuration to ``folder``."""
    save_weights(model, folder / WEIGHTS)
    write_json(folder / CONFIGURATION, configuration.model_dump(mode="json"))


def read_configuration(folder: Path) -> TrainedConfiguration:
    """Read the configuration of a trained seed.

    Raises:
        ParamsError: ``run.json`` is not a valid configuration.
    """
    file = folder / CONFIGURATION
    configuration: TrainedConfiguration = validate(
        json.loads(file.read_text()), TrainedConfiguration, where=f"{file}: "
    )
    return configuration


def read_trained(folder: Path) -> TrainedRun:
    """Read a trained seed: configuration and model.

    Raises:
        ParamsError: ``run.json`` is not a valid configuration.
        RuntimeError: the weights do not fit the model.
    """
    configuration = read_configuration(folder)
    return TrainedRun(configuration, load_weights(configuration.build_model(), folder / WEIGHTS))
