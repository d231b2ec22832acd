"""Inception Score: high if each sample has a clear class and the samples have many classes.

Source: Salimans et al. 2016, "Improved Techniques for Training GANs", section 4:

    IS = exp( mean_x KL( p(y | x) || p(y) ) ),   p(y) = mean_x p(y | x)

with p(y | x) the softmax of a classifier's logits. The paper reports the mean over splits of 5000 samples, like
the consistency-models evaluator (appendix C.3), with the 1008 logits of Inception-2015-12-05 without bias. The
number is called Inception Score only with these logits.
"""

import numpy as np

from lzn.base.extras import from_extra
from lzn.metrics.feature_arrays import Features, require_features, row_blocks


def inception_score(logits: Features, *, split_size: int = 5000) -> float:
    """Compute the score of n samples, in [1, number of classes], from their logits (n, classes).

    A split is `split_size` consecutive samples. Samples must be in random order, because a split with only one class
    has the score 1. As in the evaluator, the last split can be smaller and has the same weight: 5120 samples give
    splits of 5000 and 120 samples, and 120 samples can have only a few classes.

    Raises:
        ValueError: the logits are not a finite array (n, classes), or `split_size` is less than 1.
    """
    require_features("logits", logits)
    return float(np.mean([_score(logits[rows]) for rows in row_blocks(len(logits), split_size)]))


def _score(logits: Features) -> float:
    """Compute exp of the mean divergence of one split, in float64; log-softmax avoids the logarithm of 0."""
    with from_extra("metrics"):
        from scipy.special import log_softmax, logsumexp  # noqa: PLC0415

    log_p = log_softmax(logits.astype(np.float64), axis=1)  # log p(y | x), (n, classes)
    log_marginal = logsumexp(log_p, axis=0) - np.log(len(log_p))  # log p(y), (classes,)
    divergences = (np.exp(log_p) * (log_p - log_marginal)).sum(axis=1)
    return float(np.exp(divergences.mean()))
