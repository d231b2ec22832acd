"""The paper's image metrics, in the features of Inception."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from lzn.data import ImageArray
from lzn.metrics import precision_recall
from lzn.metrics.inception import InceptionNetwork, Preprocessing, inception_features, load_inception
from lzn.metrics.inception_score import inception_score
from stages.comparisons import distance_between, image_batches

BATCH_SIZE = 50


@dataclass(frozen=True)
class InceptionComparison:
    """FID in three preprocessings, sFID, Inception Score, precision and recall (section 9); all but CMMD.

    ``fid`` is that of the consistency-models evaluator, the paper's main column. With other weights than the released
    ones the distances are called ``fd_inception``, ``fd_inception_rf`` and so on: they are no FID.
    """

    network: InceptionNetwork
    device: torch.device

    @classmethod
    def load(cls, weights: Path, *, device: torch.device) -> Self:
        """The comparison with the weights of a file."""
        return cls(load_inception(weights), device)

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """The metrics by name."""
        self.network.to(self.device)
        ours, theirs = self._features(generated, "cm"), self._features(real, "cm")
        shares = precision_recall(theirs.pool, ours.pool, num_neighbours=num_neighbours)
        named = "" if self.network.has_released_weights else "_inception"
        distances = {
            f"fd{named}": distance_between(theirs.pool, ours.pool),
            f"fd{named}_rf": self._distance(real, generated, "rf"),
            f"fd{named}_clean": self._distance(real, generated, "clean"),
            f"sfd{named}": distance_between(theirs.spatial, ours.spatial),
        }
        if self.network.has_released_weights:
            distances = {name.replace("fd", "fid"): value for name, value in distances.items()}
            distances["is"] = inception_score(ours.logits)
        return {**distances, "precision": shares.precision, "recall": shares.recall}

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """FID as the paper's main column has it."""
        self.network.to(self.device)
        name = "fid" if self.network.has_released_weights else "fd_inception"
        return {name: self._distance(real, generated, "cm")}

    def _distance(self, real: ImageArray, generated: ImageArray, preprocessing: Preprocessing) -> float:
        return distance_between(
            self._features(real, preprocessing).pool, self._features(generated, preprocessing).pool
        )

    def _features(self, images: ImageArray, preprocessing: Preprocessing) -> "_Features":
        batches = [
            inception_features(self.network, torch.from_numpy(np.array(batch)), preprocessing=preprocessing)
            for batch in image_batches(images, BATCH_SIZE)
        ]
        return _Features(
            pool=torch.cat([batch.pool.cpu() for batch in batches]).numpy(),
            spatial=torch.cat([batch.spatial.cpu() for batch in batches]).numpy(),
            logits=torch.cat([batch.logits.cpu() for batch in batches]).numpy(),
        )


@dataclass(frozen=True)
class _Features:
    """Arrays of all images; see `lzn.metrics.inception.InceptionFeatures`."""

    pool: NDArray[np.float32]
    spatial: NDArray[np.float32]
    logits: NDArray[np.float32]
