"""Test accuracy of runs of case study 3."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lzn.data import dequantise
from lzn.data.prepared import read_split
from lzn.flow import LABEL_SOLVER
from lzn.metrics import accuracy
from lzn.runs.trained import TrainedRun
from lzn.studies import classify_images
from lzn.studies.joint import LatentsOfImages
from stages.runtime.stage_main import StageCall


@dataclass(frozen=True)
class ClassifiedImages:
    """The test images of a run's data set, and the label anchors by which the run classifies them.

    Attributes:
        images: (n, c, h, w) in [-1, 1], on the device of the label anchors.
        labels: (n,).
        label_anchors: (c, q).
    """

    images: Tensor
    labels: NDArray[np.int64]
    label_anchors: Tensor

    @classmethod
    def of(cls, call: StageCall, trained: TrainedRun) -> Self:
        """Read the test images of a run of case study 3, whose model must be on the device of the call."""
        test = read_split(call.outputs.folder("prepare", trained.run.data), "test")
        images = dequantise(test.images[:]).to(call.device)
        return cls(images, test.labels, trained.model.label_anchors.points)

    def accuracy(self, latents_of: LatentsOfImages, *, batch_size: int) -> float:
        """Compute the share of correctly classified images; ``latents_of`` gets ``batch_size`` images at a time."""
        predicted = classify_images(
            self.images, latents_of, self.label_anchors, label_solver=LABEL_SOLVER, batch_size=batch_size
        )
        return accuracy(predicted.cpu().numpy(), self.labels)
