"""Train one run: averaged weights, the configuration that rebuilds the model, and the training curve."""

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from lzn.data import ImageLoadingError
from lzn.training import (
    CheckpointFolder,
    CurvePoint,
    TrainingDivergedError,
    TrainingInterruptedError,
    TrainingStep,
    train,
)
from stages.dataset_files import DataDescription, read_description, read_split
from stages.entry import Hardware, StageCall, run_stage
from stages.flat_params import flatten
from stages.interruption import StopRequest, stop_requests
from stages.params import ParamsError, load_section
from stages.provenance import code_fingerprint, git_commit
from stages.runs import AnyRun, count_parameters
from stages.tracking import MetricRow, Tracker
from stages.trained import WEIGHTS, TrainedConfiguration, write_trained
from stages.weights import save_tensors

SNAPSHOTS = "snapshots"
"""Averaged weights at the steps that the run's ``training.snapshot_steps`` names (Figure 20)."""


def train_run(call: StageCall) -> None:
    """Train, resuming from the newest checkpoint of the same configuration, code and data."""
    run = load_section(call.params_file, f"runs.{call.item}", AnyRun)
    hardware = load_section(call.params_file, "hardware", Hardware)
    data = read_description(call.workspace.folder("prepare", run.data))
    configuration = TrainedConfiguration(
        name=call.item,
        size=call.workspace.size,
        key=_key(run, hardware, data),
        num_classes=data.num_classes,
        run=run,
    )
    weights = call.workspace.folder("train", call.item) / WEIGHTS
    tags = {
        "stage": "train",
        "size": configuration.size,
        "git_commit": git_commit(),
        "data_sha256": data.sha256,
        "weights": weights.as_posix(),
    }
    with stop_requests() as stop, Tracker.open(configuration.identity, tags=tags) as tracker:
        tracker.log_params(flatten({**run.model_dump(mode="json"), "num_threads": hardware.num_threads}))
        try:
            _train(call, configuration, hardware, tracker=tracker, stop=stop)
        except TrainingInterruptedError as interruption:
            tracker.kill()
            print(f"train: {interruption}; the next dvc repro goes on from there", file=sys.stderr)
        except (TrainingDivergedError, ImageLoadingError, OSError) as error:
            raise ParamsError(f"run {call.item}: {error}") from error
        else:
            tracker.finish()
    if stop():
        sys.exit(stop.exit_code)


def _train(
    call: StageCall,
    configuration: TrainedConfiguration,
    hardware: Hardware,
    *,
    tracker: Tracker,
    stop: StopRequest,
) -> None:
    run = configuration.run
    folder = call.workspace.folder("train", configuration.name)
    model: Any = run.build_model(configuration.num_classes)
    parts = {f"parameters.{name}": count_parameters(part) for name, part in model.named_children()}
    tracker.log_params(parts)
    checkpoints = CheckpointFolder(call.workspace.checkpoints(configuration.name, configuration.key))
    num_sent = 0

    def send(curve: tuple[CurvePoint, ...]) -> None:
        nonlocal num_sent
        rows = [
            MetricRow(point.step, int(point.unix_time * 1000), point.values) for point in curve[num_sent:]
        ]
        tracker.log_metrics(rows)
        num_sent = len(curve)

    snapshots = folder / SNAPSHOTS
    kept_snapshots = checkpoints.path / SNAPSHOTS

    def keep_snapshot(step: int, averages: Mapping[str, Tensor]) -> None:
        save_tensors(averages, kept_snapshots / f"step_{step:09d}.safetensors")

    step: TrainingStep[Any] = run.build_step()
    with tqdm(total=run.training.num_steps, desc=configuration.name, unit="step", disable=None) as bar:
        result = train(
            model,
            step,
            read_split(call.workspace.folder("prepare", run.data), "train"),
            run.training,
            seed=run.seed,
            device=call.device,
            compute=run.compute,
            num_workers=hardware.num_workers,
            views=run.build_views(),
            checkpoints=checkpoints,
            on_snapshot=keep_snapshot,
            on_step=lambda step: bar.update(step - bar.n),
            on_checkpoint=send,
            should_stop=stop,
        )
    write_trained(folder, configuration, model.cpu())
    snapshots.mkdir(parents=True, exist_ok=True)
    for file in sorted(kept_snapshots.glob("*.safetensors")):
        shutil.copyfile(file, snapshots / file.name)
    _write_curve(call.workspace.plot("train", f"{configuration.name}.csv"), result.curve)
    last = ", ".join(f"{name} {value:.4g}" for name, value in result.curve[-1].values.items())
    print(f"{configuration.name}: step {result.curve[-1].step}: {last}")


def _key(run: AnyRun, hardware: Hardware, data: DataDescription) -> str:
    """The run's identity: hash of its configuration, of the code that trains it, and of the data."""
    content = [
        run.model_dump(mode="json"),
        hardware.num_threads,
        data.sha256,
        code_fingerprint("stages.runs"),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _write_curve(file: Path, curve: tuple[CurvePoint, ...]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["step", *curve[0].values])
        writer.writerows([point.step, *map(repr, point.values.values())] for point in curve)


if __name__ == "__main__":
    run_stage("train", train_run, of_a_run=True)
