"""Train a run, and write averaged weights, the configuration of the model, and the training curve.

Several processes can train one seed together; each computes a part of every batch. The command and the checkpoints do
not depend on their number. On CPU, results with the same number of processes are equal bit for bit; with another
number they are equal up to rounding, because sums over a batch have another order.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lzn.base.parallel import Processes, join_processes
from lzn.base.sections import ParamsError
from lzn.data import ImageLoadingError
from lzn.data.prepared import DataDescription, read_description, read_split
from lzn.runs.blocks import read_section_of_run
from lzn.runs.configuration import AnyRun
from lzn.runs.curves import mean_curve, read_curve, write_curve
from lzn.runs.trained import TrainedConfiguration
from lzn.training import (
    CheckpointFolder,
    ImageBatches,
    TrainingCallbacks,
    TrainingDivergedError,
    TrainingInterruptedError,
    TrainingStep,
    train,
)
from stages.runtime.exclusive_work import exclusive_work
from stages.runtime.provenance import method_fingerprint
from stages.runtime.signals import StopRequest, stop_requests
from stages.runtime.stage_main import Hardware, StageCall, run_stage_of_seeds
from stages.tracking import import_mlflow
from stages.training.code_history import CodeHistory
from stages.training.launch import (
    configure_worker,
    is_worker,
    num_workers_to_start,
    run_workers,
    shares_training,
)
from stages.training.recording import Recorder, open_recorder
from stages.training.resumption import CheckpointParams, history_of_training


def seeds_of(call: StageCall) -> Sequence[int]:
    """Return the seeds of the run.

    Raises:
        ParamsError: torchrun started this process for a run with several seeds; it can train only one.
    """
    run: AnyRun = read_section_of_run(call.params, f"runs.{call.item}", AnyRun)
    if is_worker() and len(run.seeds) > 1:
        raise ParamsError(
            f"run {call.item} has {len(run.seeds)} seeds: under torchrun choose one with --seed"
        )
    return tuple(run.seeds)


@dataclass(frozen=True)
class _Training:
    """One training: a seed of a run, its data, and the section ``checkpoints``."""

    call: StageCall
    run: AnyRun
    hardware: Hardware
    data: DataDescription
    checkpoint_params: CheckpointParams

    @property
    def name(self) -> str:
        return f"run {self.call.item}, seed {self.call.seed}"

    @property
    def checkpoint_key(self) -> str:
        """A hash of what shapes the steps, without the code: checkpoints of other settings are of no use."""
        return _hash([self.run.shaping_values(), self.data.sha256])

    @property
    def checkpoints(self) -> Path:
        return self.call.outputs.checkpoints(self.call.item, self.checkpoint_key)

    def history(self) -> CodeHistory:
        """Return the history of the training that starts or continues now. Raises ParamsError if it may not."""
        schedule = self.run.training
        return history_of_training(self.checkpoints, schedule, self.checkpoint_params, name=self.name)

    def configuration(self, history: CodeHistory) -> TrainedConfiguration:
        """Return the content of ``run.json``."""
        return TrainedConfiguration(
            name=self.call.item,
            size=self.call.outputs.size,
            key=_hash([self.run.model_dump(mode="json"), self.data.sha256, history.first_code]),
            num_classes=self.data.num_classes,
            class_names=self.data.class_names,
            code_sha256=method_fingerprint(),
            code_changes=history.changes,
            run=self.run,
        )


def train_seed(call: StageCall) -> None:
    """Train one seed from the newest checkpoint with the same settings and data, or start workers for it."""
    family: AnyRun = read_section_of_run(call.params, f"runs.{call.item}", AnyRun)
    try:
        run = family.of_seed(call.run_seed)
    except ValueError as error:
        raise ParamsError(f"{call.params.path}: runs.{call.item}: {error}") from error
    count = num_workers_to_start(batch_size=run.training.batch_size)
    training = _Training(
        call,
        run,
        hardware=call.params.section("hardware", Hardware),
        data=read_description(call.outputs.folder("prepare", run.data)),
        checkpoint_params=CheckpointParams.of(call.params),
    )
    if shares_training():
        _train_here(training, num_workers=count)
    else:
        lock = call.outputs.lock(call.item, training.checkpoint_key)
        with exclusive_work(lock, f"train {call.item}, seed {call.seed}"):
            _train_here(training, num_workers=count)


def _train_here(training: _Training, *, num_workers: int | None) -> None:
    """Train in this process, or in ``num_workers`` others."""
    call, num_threads = training.call, training.hardware.num_threads
    if num_workers is not None:
        arguments = [call.item, "--seed", str(call.seed)]
        run_workers("stages.train", arguments, count=num_workers, num_threads=num_threads)
        return
    device = configure_worker(call.device, num_threads=num_threads)
    with join_processes(device) as processes, stop_requests() as stop:
        _train_and_record(training, device=device, processes=processes, stop=stop)
        # If one process exits with an error code (for example after a stop), the launcher ends all others. So all wait
        # here until the first one has written its results.
        processes.barrier()
    if stop():
        sys.exit(stop.exit_code)


def import_for_seeds() -> None:
    """Import what each seed needs: MLflow, and the compiler that PyTorch imports at the first step of an optimiser."""
    import torch._dynamo  # noqa: F401, PLC0415

    import_mlflow()


def write_mean_curve(call: StageCall, seeds: Sequence[int]) -> None:
    """Write the training curve for ``dvc plots``: means over seeds. Of several workers only the first writes it."""
    if os.environ.get("RANK", "0") != "0":
        return
    curves = [read_curve(call.outputs.curve(call.item, seed)) for seed in seeds]
    write_curve(call.outputs.plot("train", f"{call.item}.csv"), mean_curve(curves))


def _train_and_record(
    training: _Training, *, device: torch.device, processes: Processes, stop: StopRequest
) -> None:
    history = training.history() if processes.is_first else CodeHistory.new()
    processes.barrier()  # no process reads a checkpoint before the first one has decided which one counts
    checkpoints = CheckpointFolder(training.checkpoints, make_note=history.note)
    with open_recorder(
        training.configuration(history),
        training.call,
        checkpoints,
        processes=processes,
        num_threads=training.hardware.num_threads,
        data=training.data,
    ) as recorder:
        try:
            _train(training, checkpoints, recorder, device=device, processes=processes, stop=stop)
        except TrainingInterruptedError as interruption:
            recorder.on_interrupt(interruption)
            if not stop():  # another process got the signal
                stop.signal = signal.SIGTERM
        except TrainingDivergedError as error:
            if not processes.is_first:  # all processes raise it; only the first prints it
                sys.exit(1)
            raise ParamsError(f"run {training.call.item}: {error}") from error
        except (ImageLoadingError, OSError) as error:
            raise ParamsError(f"run {training.call.item}: {error}") from error


def _train(
    training: _Training,
    checkpoints: CheckpointFolder,
    recorder: Recorder,
    *,
    device: torch.device,
    processes: Processes,
    stop: StopRequest,
) -> None:
    run = training.run
    model: Any = run.build_model(training.data.num_classes)
    recorder.on_start(model)
    step: TrainingStep[Any] = run.build_step()
    batches = ImageBatches(
        data=read_split(training.call.outputs.folder("prepare", run.data), "train"),
        schedule=run.training,
        seed=run.seed,
        num_workers=training.hardware.num_workers,
        views=run.build_views(),
    )
    result = train(
        model,
        step,
        batches,
        run.training,
        seed=run.seed,
        device=device,
        compute=run.compute,
        processes=processes,
        checkpoints=checkpoints,
        callbacks=TrainingCallbacks(
            on_snapshot=recorder.on_snapshot,
            on_step=recorder.on_step,
            on_curve=recorder.on_curve,
            should_stop=stop,
        ),
    )
    recorder.on_end(model, result)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    run_stage_of_seeds(
        "train", train_seed, seeds_of=seeds_of, finish=write_mean_curve, import_before=import_for_seeds
    )
