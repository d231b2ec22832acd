"""The paper's image metrics in the features of Inception and CLIP."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from lzn.data import ImageArray
from lzn.metrics import cmmd, inception_score
from lzn.metrics.clip import load_clip
from lzn.metrics.inception import InceptionNetwork, Preprocessing, load_inception
from stages.feature_extraction.cache import FeatureCache, ImageFeatures
from stages.feature_extraction.comparison import (
    Comparison,
    Numbers,
    RealMoments,
    distance_to_real,
    precision_and_recall,
)
from stages.feature_extraction.made_by import MadeBy
from stages.feature_extraction.pretrained import ClipExtractor, InceptionExtractor

PREPROCESSING: Mapping[Preprocessing, str] = {
    "cm": "bilinear resize as TensorFlow 1, (x - 128) / 128",
    "rf": "bilinear resize as TensorFlow 1, (x - 127.5) / 127.5",
    "clean": "bicubic resize with antialiasing as PIL",
}
"""The preparation of images in the three implementations of FID, for people."""


@dataclass(frozen=True)
class InceptionComparison(Comparison):
    """FID with three preprocessings, sFID, Inception Score, precision and recall, and CMMD (section 9 of the method).

    ``fid`` uses the preprocessing of the consistency-models evaluator, as the paper's main column does. With weights
    other than the released ones the distances are called ``fd_inception``, ``fd_inception_rf`` and so on, CMMD is
    called ``mmd_clip``, there is no Inception Score, and the paper's names have a reason instead of a number. Without
    ``clip`` there is no CMMD.
    """

    network: InceptionNetwork
    clip: ClipExtractor | None
    features: FeatureCache

    @classmethod
    def load(cls, weights: Path, *, clip: Path | None, features: FeatureCache) -> Self:
        """Load Inception's weights from a file and CLIP's from a folder.

        Raises:
            ValueError: they are damaged, or belong to other networks.
        """
        extractor = None if clip is None else ClipExtractor(load_clip(clip))
        return cls(load_inception(weights), extractor, features)

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> Numbers:
        """Compute the metrics by name."""
        ours, theirs = self.features.of(generated), self.features.of(real)
        everything = InceptionExtractor(self.network, "cm")
        all_ours, all_theirs = ours.by(everything), theirs.by(everything)
        device = self.features.workers.device
        measured: Numbers = {
            self._named("fid"): distance_to_real(theirs, ours, everything, "pool"),
            self._named("fid_rf"): self._pool_distance(theirs, ours, "rf"),
            self._named("fid_clean"): self._pool_distance(theirs, ours, "clean"),
            self._named("sfid"): distance_to_real(theirs, ours, everything, "spatial"),
            **precision_and_recall(
                all_theirs["pool"], all_ours["pool"], num_neighbours=num_neighbours, device=device
            ),
        }
        if self.network.has_released_weights:
            measured["is"] = inception_score(all_ours["logits"])
        return {**measured, **self._cmmd(theirs, ours), **self._reasons()}

    def _reasons(self) -> dict[str, str]:
        """Return why there are no numbers under the paper's names, if the weights are not the released ones."""
        reasons: dict[str, str] = {}
        if not self.network.has_released_weights:
            names = ("fid", "fid_rf", "fid_clean", "sfid", "is")
            reasons |= dict.fromkeys(names, "the weights are not those of Inception-2015-12-05")
        if self.clip is not None and not self.clip.network.is_released:
            reasons["cmmd"] = "the weights are not those of CLIP ViT-L/14@336"
        return reasons

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """Compute FID with the preprocessing of the consistency-models evaluator."""
        everything = InceptionExtractor(self.network, "cm")
        return {self._named("fid"): self._moments.distance(real, generated, everything, "pool")}

    def made_by(self, *, data_name: str) -> Mapping[str, MadeBy]:
        """Return Inception with the preprocessing of each distance, and CLIP."""
        kinds: Mapping[str, Preprocessing] = {"fid": "cm", "fid_rf": "rf", "fid_clean": "clean", "sfid": "cm"}
        inception = {
            self._named(name): MadeBy("Inception", self.network.weights_sha256, PREPROCESSING[kind])
            for name, kind in kinds.items()
        }
        if self.clip is None:
            return inception
        text = "PIL bicubic to the size of the network, centre crop"
        return inception | {self._cmmd_name: MadeBy("CLIP", self.clip.network.identity, text)}

    @property
    def _cmmd_name(self) -> str:
        return "cmmd" if self.clip is not None and self.clip.network.is_released else "mmd_clip"

    @cached_property
    def _moments(self) -> RealMoments:
        return RealMoments(self.features)

    def _named(self, name: str) -> str:
        return name if self.network.has_released_weights else name.replace("fid", "fd_inception")

    def _pool_distance(
        self, real: ImageFeatures, generated: ImageFeatures, preprocessing: Preprocessing
    ) -> float:
        return distance_to_real(real, generated, InceptionExtractor(self.network, preprocessing), "pool")

    def _cmmd(self, real: ImageFeatures, generated: ImageFeatures) -> dict[str, float]:
        if self.clip is None:
            return {}
        embeddings = [images.by(self.clip)["embeddings"] for images in (real, generated)]
        return {self._cmmd_name: cmmd(*embeddings, device=self.features.workers.device)}
