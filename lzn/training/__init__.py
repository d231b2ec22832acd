"""Training of any model of a study: optimiser, averaged parameters, checkpoints, several processes.

Read in this order:

1. `step`: the interface of a study's training step: (model, batch, random numbers) -> losses, in one or three parts.
2. `schedule`, `compute`: the settings of a run.
3. `loop`: `train` takes the batches from `batches`, calls the step, and calls the functions of `callbacks`.
4. `gradients`: the gradient of a step, at once or by `micro_batches`; `gradient_sums` adds it up over processes.
5. `optimisation`: one optimiser step. `ema`: averaged parameters. `totals`: sums over steps on the device.
6. `state`: everything that changes during training; it holds `progress` and is saved by `checkpoints`.
7. `classification`: the training step of the classifier whose features the metrics use.
"""

from lzn.training.batches import BatchesFromStep, ImageBatches
from lzn.training.callbacks import TrainingCallbacks
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.classification import ClassifierModel, cross_entropy_step
from lzn.training.compute import Compute
from lzn.training.loop import TrainingInterruptedError, TrainingResult, train
from lzn.training.progress import CurvePoint, TrainingDivergedError
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Anchors, Batch, Coupled, Losses, StepInParts, TrainingStep

__all__ = [
    "Anchors",
    "Batch",
    "BatchesFromStep",
    "CheckpointFolder",
    "ClassifierModel",
    "Compute",
    "Coupled",
    "CurvePoint",
    "ImageBatches",
    "Losses",
    "StepInParts",
    "TrainingCallbacks",
    "TrainingDivergedError",
    "TrainingInterruptedError",
    "TrainingResult",
    "TrainingSchedule",
    "TrainingStep",
    "cross_entropy_step",
    "train",
]
