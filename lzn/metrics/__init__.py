"""The numbers that judge images and representations: pure functions of arrays, computed in float64."""

from lzn.metrics.frechet import Gaussian, fit_gaussian, frechet_distance
from lzn.metrics.inception_score import inception_score
from lzn.metrics.mmd import cmmd, median_bandwidth, mmd_squared
from lzn.metrics.precision_recall import PrecisionRecall, precision_recall
from lzn.metrics.probe import ProbeResult, accuracy, linear_probe
from lzn.metrics.reconstruction import reconstruction_error

__all__ = [
    "Gaussian",
    "PrecisionRecall",
    "ProbeResult",
    "accuracy",
    "cmmd",
    "fit_gaussian",
    "frechet_distance",
    "inception_score",
    "linear_probe",
    "median_bandwidth",
    "mmd_squared",
    "precision_recall",
    "reconstruction_error",
]
