"""The table of metrics: the name of each in JSON files, the name shown, which numbers are better, its unit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from stages.measuring.quantity import Quantity

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """A metric of the paper's tables, or a distance in the features of a data set's own classifier.

    Attributes:
        key: its name in the JSON files of the stage that measures it.
        heading: the name shown.
        better: which numbers are better.
        missing: why a run may have no such number.
        factor: the number shown is the measured one times this: 100 for shares that are shown in percent.
        substitute: how the key of the own distance begins that takes its place where Inception and CLIP are not used.
    """

    key: str
    heading: str
    better: Better
    missing: str
    factor: float = 1
    substitute: str | None = None

    def shown(self, measured: Quantity) -> Quantity:
        """Return the measured numbers in the unit that is shown."""
        return measured.times(self.factor)


NEEDS_INCEPTION = "not measured: it needs Inception features, which are made for natural images"
NEEDS_CLIP = "not measured: this metric needs CLIP embeddings"
NO_FEATURES = "not measured: the section features names no network for these data"
NO_LABELS = "this method does not classify"
NO_TOP5 = "top-5 accuracy is always 100 % with five classes or fewer"
NOT_MEASURED = "not measured"
NOT_RUN_YET = "not run yet"
OTHER_DATA = "measured in the features of another data set's classifier"

METRICS: Mapping[str, Metric] = {
    "fid": Metric("fid", "FID", "lower", NEEDS_INCEPTION, substitute="fd_"),
    "sfid": Metric("sfid", "sFID", "lower", NEEDS_INCEPTION),
    "is": Metric("is", "IS", "higher", NEEDS_INCEPTION),
    "precision": Metric("precision", "Precision", "higher", NO_FEATURES),
    "recall": Metric("recall", "Recall", "higher", NO_FEATURES),
    "cmmd": Metric("cmmd", "CMMD", "lower", NEEDS_CLIP, substitute="mmd_"),
    "recon": Metric("reconstruction", "Recon", "lower", NOT_MEASURED),
    "accuracy": Metric("accuracy", "Acc %", "higher", NO_LABELS, factor=100),
    "top1": Metric("top1", "Top-1 %", "higher", NO_TOP5, factor=100),
    "top5": Metric("top5", "Top-5 %", "higher", NO_TOP5, factor=100),
    "clean": Metric("fid_clean", "FID (clean)", "lower", NEEDS_INCEPTION),
    "rf": Metric("fid_rf", "FID (RF)", "lower", NEEDS_INCEPTION),
    "cm": Metric("fid", "FID (CM)", "lower", NEEDS_INCEPTION),
}
"""By the column of ``paper_numbers.yaml`` and ``tables.json``. FID has two columns: ``fid`` in tables 1, 4 and 8, and
``cm`` in tables 5 and 7, which compare the implementations of consistency models (CM), rectified flow (RF), clean-fid.
"""
OWN_DISTANCES = ("fd_", "mmd_")
"""How the keys of distances in the features of a data set's own classifier begin; the data set follows."""
FID_IMPLEMENTATIONS = ("fid", "fid_rf", "fid_clean")
"""Keys of the three implementations of FID; the first is the main one."""


def own_distances(measured: Iterable[str]) -> list[str]:
    """Return those of the keys that are own distances, in their order."""
    return [key for key in measured if key.startswith(OWN_DISTANCES)]


def metric_of(key: str) -> Metric | None:
    """Return the metric with this name in JSON files; None for other numbers."""
    if key.startswith(OWN_DISTANCES):
        kind, _, data = key.partition("_")
        return Metric(key, f"{kind.upper()} ({data})", "lower", OTHER_DATA)
    return next((metric for metric in METRICS.values() if metric.key == key), None)


def distance_metric(key: str) -> Metric:
    """Return the metric of a distance between images: FID or an own distance."""
    metric = metric_of(key)
    assert metric is not None
    return metric
