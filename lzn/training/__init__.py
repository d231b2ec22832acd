"""Training of any model of a study: optimiser, averaged parameters, checkpoints, several processes.

Read in this order:

1. `step`: the interface of a study's training step: (model, batch, random numbers) -> losses.
2. `schedule`, `compute`: the settings of a run.
3. `loop`: `train` takes the batches from `batches`, calls the step, and calls the functions of `callbacks`.
4. `optimisation`: one optimiser step. `ema`: averaged parameters. `totals`: sums over steps on the device.
5. `state`: everything that changes during training; it holds `progress` and is saved by `checkpoints`.
6. `classification`: the training step of the classifier whose features the metrics use.
"""

from lzn.training.callbacks import TrainingCallbacks
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.classification import ClassifierModel, cross_entropy_step
from lzn.training.compute import Compute
from lzn.training.loop import TrainingInterruptedError, TrainingResult, train
from lzn.training.progress import CurvePoint, TrainingDivergedError
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Batch, Losses, TrainingStep

__all__ = [
    "Batch",
    "CheckpointFolder",
    "ClassifierModel",
    "Compute",
    "CurvePoint",
    "Losses",
    "TrainingCallbacks",
    "TrainingDivergedError",
    "TrainingInterruptedError",
    "TrainingResult",
    "TrainingSchedule",
    "TrainingStep",
    "cross_entropy_step",
    "train",
]
