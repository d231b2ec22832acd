"""Record a training: its MLflow run, progress bar, snapshots, curve and weights. Only the first process records."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from torch import Tensor, nn
from tqdm import tqdm

from lzn.base.files import copy_file, save_tensors
from lzn.base.parallel import Processes
from lzn.data.prepared import DataDescription
from lzn.runs.configuration import count_parameters
from lzn.runs.curves import write_curve
from lzn.runs.trained import WEIGHTS, TrainedConfiguration, write_trained
from lzn.training import CheckpointFolder, CurvePoint, TrainingInterruptedError, TrainingResult
from stages.runtime.memory import peak_memory_gb
from stages.runtime.page_tags import colour_of, describe_run, page_tags
from stages.runtime.provenance import describe_hardware, git_commit
from stages.runtime.stage_main import StageCall
from stages.tracking import MetricRow, Tracker
from stages.tracking.data import dataset_input
from stages.tracking.seed_identity import family_of, identity_of
from stages.training.code_history import code_tags
from stages.training.live_curve import LiveCurve
from stages.training.models import log_models
from stages.training.resumption import SNAPSHOTS, snapshot_file

SYSTEM_METRICS_EVERY_S = 5.0


class Recorder:
    """Callbacks of a training. These do nothing: only the first process records."""

    def on_start(self, model: nn.Module) -> None:
        """Called with the new model, before the first step."""

    def on_step(self, step: int) -> None:
        """Called with the number of finished steps."""

    def on_curve(self, curve: tuple[CurvePoint, ...]) -> None:
        """Called with the curve when it has a new point, and after a checkpoint is written."""

    def on_snapshot(self, step: int, averages: Mapping[str, Tensor]) -> None:
        """Called at each of the run's ``snapshot_steps``, with the averaged weights."""

    def on_end(self, model: nn.Module, result: TrainingResult) -> None:
        """Called after the last step, with the averaged weights in the model."""

    def on_interrupt(self, interruption: TrainingInterruptedError) -> None:
        """Called after a request to stop, when the last checkpoint is written."""


@contextmanager
def open_recorder(
    configuration: TrainedConfiguration,
    call: StageCall,
    checkpoints: CheckpointFolder,
    *,
    processes: Processes,
    num_threads: int,
    data: DataDescription,
) -> Iterator[Recorder]:
    """Yield the recorder of this process. In the first process, the MLflow run ends with the block."""
    if not processes.is_first:
        yield Recorder()
        return
    folder = call.trained_folder
    tags = {
        "stage": "train",
        "size": configuration.size,
        "run": configuration.name,
        "git_commit": git_commit(),
        "hardware": describe_hardware(),
        "data_sha256": data.sha256,
        "weights": (folder / WEIGHTS).as_posix(),
        "processes": str(processes.count),
        "num_threads": str(num_threads),
        **code_tags(configuration.code_changes),
    }
    settings = configuration.run.model_dump(mode="json", exclude={"seeds"})
    params = {**settings, "seed": configuration.run.seed}
    page = page_tags(
        "stages/train.py",
        description=describe_run(settings, name=configuration.name),
        colour=colour_of(configuration.name, list(call.params.content["runs"])),
    )
    shared = {"level": "family", "size": configuration.size}
    with Tracker.join(family_of(configuration), tags=page | shared):
        pass  # it exists, with its tags, before its first child
    bar = call.progress(total=configuration.run.training.num_steps, unit="step")
    identity = identity_of(configuration)
    with (
        Tracker.open(identity, tags=page | tags, system_metrics_every_s=SYSTEM_METRICS_EVERY_S) as tracker,
        bar,
    ):
        tracker.log_params(params)
        prepared = call.outputs.folder("prepare", configuration.run.data)
        tracker.log_datasets([dataset_input(data, "train", folder=prepared)])
        curve = call.outputs.curve(call.item, call.run_seed)
        live = LiveCurve(call.outputs.live_curve(call.item, call.run_seed))
        yield _FirstRecorder(configuration, call, tracker, bar, folder, curve, live, checkpoints.path)


@dataclass
class _FirstRecorder(Recorder):
    """Callbacks of the first process: they log to MLflow and write files."""

    configuration: TrainedConfiguration
    call: StageCall
    tracker: Tracker
    bar: "tqdm[Never]"
    folder: Path
    curve: Path
    live_curve: LiveCurve
    checkpoints: Path
    num_logged: int = 0

    def on_start(self, model: nn.Module) -> None:
        parts = {f"parameters.{name}": count_parameters(part) for name, part in model.named_children()}
        self.tracker.log_params(parts)
        self.live_curve.restart()

    def on_step(self, step: int) -> None:
        self.bar.update(step - self.bar.n)

    def on_curve(self, curve: tuple[CurvePoint, ...]) -> None:
        new = curve[self.num_logged :]
        self.tracker.log_metrics(
            [
                MetricRow(
                    point.step,
                    int(point.unix_time * 1000),
                    {f"train/{name}": value for name, value in point.values.items()},
                )
                for point in new
            ]
        )
        self.live_curve.update(curve)
        self.num_logged = len(curve)

    def on_snapshot(self, step: int, averages: Mapping[str, Tensor]) -> None:
        save_tensors(averages, snapshot_file(self.checkpoints, step))

    def on_end(self, model: nn.Module, result: TrainingResult) -> None:
        memory = peak_memory_gb(self.call.device)  # of the training, not of what is written after it
        self.bar.close()
        write_trained(self.folder, self.configuration, model.cpu())
        snapshots = self.folder / SNAPSHOTS
        snapshots.mkdir(parents=True, exist_ok=True)
        for step in self.configuration.run.training.snapshot_steps:
            file = snapshot_file(self.checkpoints, step)
            copy_file(file, snapshots / file.name)
        write_curve(self.curve, [{"step": point.step, **point.values} for point in result.curve])
        log_models(self.tracker, self.configuration, self.folder, self.call.outputs)
        self.tracker.log_summary({"memory/train": memory})
        self.tracker.finish()
        last = ", ".join(f"{name} {value:.4g}" for name, value in result.curve[-1].values.items())
        print(f"{identity_of(self.configuration).name}: step {result.curve[-1].step}: {last}")

    def on_interrupt(self, interruption: TrainingInterruptedError) -> None:
        self.bar.close()
        self.tracker.kill()
        print(f"train: {interruption}; the next dvc repro resumes from there", file=sys.stderr)
