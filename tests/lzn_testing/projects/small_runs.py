"""Trained runs on a tenth of the digits in the current folder, for tests of stages that measure a run."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from torch import Tensor

from lzn.base.files import save_tensors
from lzn.base.sections import ParamsFile, validate
from lzn.data.prepared import read_split
from lzn.runs.blocks import merge_blocks
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import TrainedConfiguration, write_trained
from lzn.training import ImageBatches, TrainingCallbacks, train
from lzn_testing import PROJECT
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

PARAMS = ParamsFile.read(PROJECT / "params.yaml")
RUNS: Mapping[str, Any] = {name: merge_blocks(PARAMS, f"runs.{name}")[0] for name in PARAMS.value("runs")}
"""The runs of params.yaml, merged with their blocks."""
OUTPUTS = OutputPaths("tiny")
DATA = {"digits": {"kind": "digits", "test_fraction": 0.9, "seed": 0}}
NUM_TRAIN, NUM_TEST = 179, 1618


def call(item: str, *, seed: int | None = 0) -> StageCall:
    """Return the call of a stage for a run and seed, or for a data set."""
    return StageCall(ParamsFile.read(Path("params.yaml")), item, OUTPUTS, torch.device("cpu"), seed=seed)


def write_params(**sections: Any) -> None:
    """Write params.yaml with the sections of the tested stages."""
    yaml = YAML()
    yaml.representer.ignore_aliases = lambda data: True
    content = {"size": "tiny", "hardware": {"num_threads": 1, "seeds_at_once": 2}, "data": DATA, **sections}
    yaml.dump(content, Path("params.yaml"))


def prepare_digits() -> None:
    prepare(call("digits", seed=None))


def write_run(name: str, *, seeds: Sequence[int] = (0,), num_steps: int = 0) -> None:
    """Write seeds of a run of params.yaml after ``num_steps`` steps, with snapshots after half and all of the steps."""
    training = {"batch_size": 64, "snapshot_steps": [], "num_steps": max(1, num_steps), "warmup_steps": 5}
    training |= {"ema_decay": 0.9}
    section = {**RUNS[name], "seeds": list(seeds), "training": {**RUNS[name]["training"], **training}}
    if num_steps:
        section["training"]["snapshot_steps"] = [num_steps // 2, num_steps]
    for seed in seeds:
        configuration = TrainedConfiguration(
            name=name,
            size="tiny",
            key=hashlib.sha256(f"{name} {seed}".encode()).hexdigest()[:16],
            num_classes=10,
            run=validate(section, AnyRun, where=name).of_seed(seed),
        )
        folder = OUTPUTS.seed_folder("train", name, seed)
        model = configuration.build_model()
        if num_steps:
            _train(model, configuration, folder / "snapshots")
        write_trained(folder, configuration, model)


def _train(model: Any, configuration: TrainedConfiguration, snapshots: Path) -> None:
    def save_snapshot(step: int, weights: Mapping[str, Tensor]) -> None:
        save_tensors(weights, snapshots / f"step_{step:09d}.safetensors")

    run = configuration.run
    data = read_split(OUTPUTS.folder("prepare", "digits"), "train")
    callbacks = TrainingCallbacks(on_snapshot=save_snapshot)
    batches = ImageBatches(data=data, schedule=run.training, seed=run.seed)
    train(model, run.build_step(), batches, run.training, seed=run.seed, callbacks=callbacks)
