"""Metrics of generated images and of representations, as functions of arrays (method section 9).

They compute in float64; the probe trained with AdamW computes in float32. Read in this order:

1. `feature_arrays`: checks of features, and distances in blocks. All metrics of features use it.
2. Metrics of images from features: `frechet` (FID, sFID), `inception_score`, `precision_recall`, `mmd` (CMMD).
3. The networks whose features give these metrics their names: `inception`, `clip`. `inception_weights` and
   `clip_weights` find or download their weights, `weights_files` reads them, `float32_inference` sets the precision.
   They are not imported here, because loading a network imports libraries that take seconds.
4. Metrics of representations: `adamw_probe` (the paper's linear probe), `probe` (logistic regression), `tsne`.
5. `reconstruction`: error of the inverse and forward ODE.
"""

from lzn.metrics.adamw_probe import (
    AdamWProbeResult,
    AdamWSettings,
    EpochFeatures,
    LabelledFeatures,
    adamw_probe,
    batches_in_order,
    fixed_features,
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
    "batches_in_order",
    "class_spreads",
    "cmmd",
    "fit_gaussian",
    "fixed_features",
    "frechet_distance",
    "inception_score",
    "linear_probe",
    "median_bandwidth",
    "mmd_squared",
    "precision_recall",
    "reconstruction_error",
    "tsne_points",
]
