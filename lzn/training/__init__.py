"""The training loop: it owns device, optimiser, averages and checkpoints, and knows nothing of the study."""

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
    "TrainingDivergedError",
    "TrainingInterruptedError",
    "TrainingResult",
    "TrainingSchedule",
    "TrainingStep",
    "cross_entropy_step",
    "train",
]
