"""The numbers that judge images and representations: functions of arrays, in float64 (the trained probe: float32)."""

from lzn.metrics.adamw_probe import (
    AdamWProbeResult,
    AdamWSettings,
    EpochFeatures,
    LabelledFeatures,
    adamw_probe,
    fixed_features,
    in_order,
)
from lzn.metrics.frechet import Gaussian, fit_gaussian, frechet_distance
from lzn.metrics.inception_score import inception_score
from lzn.metrics.mmd import cmmd, median_bandwidth, mmd_squared
from lzn.metrics.precision_recall import PrecisionRecall, precision_recall
from lzn.metrics.probe import ProbeResult, accuracy, linear_probe
from lzn.metrics.reconstruction import reconstruction_error
from lzn.metrics.tsne import ClassSpreads, Spread, class_spreads, tsne_points

__all__ = [
    "AdamWProbeResult",
    "AdamWSettings",
    "ClassSpreads",
    "EpochFeatures",
    "Gaussian",
    "LabelledFeatures",
    "PrecisionRecall",
    "ProbeResult",
    "Spread",
    "accuracy",
    "adamw_probe",
    "class_spreads",
    "cmmd",
    "fit_gaussian",
    "fixed_features",
    "frechet_distance",
    "in_order",
    "inception_score",
    "linear_probe",
    "median_bandwidth",
    "mmd_squared",
    "precision_recall",
    "reconstruction_error",
    "tsne_points",
]
