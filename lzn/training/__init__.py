"""The training loop: it owns device, optimiser, averages and checkpoints, and knows nothing of the study."""

from lzn.training.checkpoints import CheckpointFolder
from lzn.training.classification import ClassifierModel, cross_entropy_step
from lzn.training.loop import (
    CurvePoint,
    TrainingDivergedError,
    TrainingInterruptedError,
    TrainingResult,
    train,
)
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Batch, Losses, TrainingStep

__all__ = [
    "Batch",
    "CheckpointFolder",
    "ClassifierModel",
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
