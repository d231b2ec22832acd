"""Test accuracy of a logistic regression on fixed representations, and the accuracy of predicted labels."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzn.base.extras import from_extra
from lzn.metrics.feature_arrays import Features, require_features, require_same_width

Labels = NDArray[np.integer]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class ProbeResult:
    """Accuracies in [0, 1] on the test set; `top5` is None with five classes or fewer, because it is always 1.

    `converged` is False if the fit stopped at its iteration limit; the accuracies then depend on this limit.
    """

    top1: float
    top5: float | None
    converged: bool


def linear_probe(
    train_features: Features,
    train_labels: Labels,
    test_features: Features,
    test_labels: Labels,
    *,
    max_iterations: int = 1000,
) -> ProbeResult:
    """Fit a logistic regression to fixed training features, and measure its test accuracy.

    The paper trains a linear layer with AdamW (`adamw_probe`). Logistic regression is convex, and L-BFGS finds its
    optimum without a learning rate, a schedule or a seed, so the result depends only on the representation. Features
    are standardised with the statistics of the training set, so that the L2 penalty is the same for every feature.

    Args:
        train_features: (n, d).
        train_labels: (n,) integers, at least two classes.
        test_features: (m, d).
        test_labels: (m,) integers; samples of a class without training samples count as errors.
        max_iterations: largest number of L-BFGS iterations.

    Raises:
        ValueError: features or labels have a wrong dtype or shape, or there is only one class.
    """
    # Import here: scikit-learn takes seconds, and stages without a probe do not need it.
    with from_extra("metrics"):
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    _require_labelled("train", train_features, train_labels)
    _require_labelled("test", test_features, test_labels)
    require_same_width(train_features, test_features)
    if len(np.unique(train_labels)) < 2:
        raise ValueError("train_labels must contain at least two classes")
    scaler = StandardScaler().fit(train_features.astype(np.float64))
    model = LogisticRegression(max_iter=max_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)  # the result reports it as `converged`
        model.fit(scaler.transform(train_features.astype(np.float64)), train_labels)
    scores = model.decision_function(scaler.transform(test_features.astype(np.float64)))
    return ProbeResult(
        top1=accuracy(_best(scores, model.classes_, num=1)[:, 0], test_labels),
        top5=_top5(scores, model.classes_, test_labels),
        converged=bool(model.n_iter_.max() < max_iterations),
    )


def accuracy(predicted: Labels, labels: Labels) -> float:
    """Compute the share of `predicted` (n,) that equals `labels` (n,), in [0, 1].

    Raises:
        ValueError: the shapes differ, or the arrays are empty.
    """
    if predicted.shape != labels.shape or labels.ndim != 1 or labels.size == 0:
        raise ValueError(
            f"predicted and labels must both be (n,) and not empty, got {predicted.shape} and {labels.shape}"
        )
    return float(np.mean(predicted == labels))


def _top5(scores: Float64Array, classes: Labels, labels: Labels) -> float | None:
    if len(classes) <= 5:
        return None
    return float(np.mean((_best(scores, classes, num=5) == labels[:, None]).any(axis=1)))


def _best(scores: Float64Array, classes: Labels, *, num: int) -> Labels:
    """Return the `num` most likely classes of each sample, best first, (n, num)."""
    if scores.ndim == 1:  # with two classes, scikit-learn returns only the score of the second
        scores = np.stack([-scores, scores], axis=1)
    best: Labels = classes[np.argsort(-scores, axis=1, kind="stable")[:, :num]]
    return best


def _require_labelled(name: str, features: Features, labels: Labels) -> None:
    require_features(f"{name}_features", features)
    if labels.shape != features.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name}_labels must be {len(features)} integers, got {labels.dtype} {labels.shape}")
