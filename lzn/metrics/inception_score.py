"""Inception Score: are samples of clear classes, and of many?

Source: Salimans et al. 2016, "Improved Techniques for Training GANs", section 4:

    IS = exp( mean_x KL( p(y | x) || p(y) ) ),   p(y) = mean_x p(y | x)

with p(y | x) the softmax of a classifier's logits. The paper reports the mean over splits of 5000 samples, as
the consistency-models evaluator does (appendix C.3), with the 1008 logits of Inception-2015-12-05 without
their bias. The number is called Inception Score only with those logits.
"""

import numpy as np
from scipy.special import log_softmax, logsumexp

from lzn.metrics.feature_arrays import Features, require_features, row_blocks


def inception_score(logits: Features, *, split_size: int = 5000) -> float:
    """The score of n samples from their logits (n, classes), from 1 to the number of classes.

    A split is `split_size` consecutive samples, which must come in random order: a split of one class only has
    the score 1. As in the evaluator the last split may be smaller, and counts as much as the others: 5120
    samples make splits of 5000 and of 120, and 120 samples cannot show many classes.

    Raises:
        ValueError: the logits are not a finite (n, classes) array, or `split_size` is less than 1.
    """
    require_features("logits", logits)
    return float(np.mean([_score(logits[rows]) for rows in row_blocks(len(logits), split_size)]))


def _score(logits: Features) -> float:
    """exp of the mean divergence of one split, in float64; logarithms of probabilities never meet a zero."""
    log_p = log_softmax(logits.astype(np.float64), axis=1)  # log p(y | x), (n, classes)
    log_marginal = logsumexp(log_p, axis=0) - np.log(len(log_p))  # log p(y), (classes,)
    divergences = (np.exp(log_p) * (log_p - log_marginal)).sum(axis=1)
    return float(np.exp(divergences.mean()))
