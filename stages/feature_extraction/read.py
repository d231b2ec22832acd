"""The comparison for the feature network of a data set."""

from pathlib import Path

import torch

from lzn.base.sections import ParamsError
from stages.feature_extraction.cache import FeatureCache
from stages.feature_extraction.classifier_comparison import ClassifierComparison
from stages.feature_extraction.comparison import Comparison, NoComparison
from stages.feature_extraction.extraction import Workers
from stages.feature_extraction.extractors import ClassifierExtractor
from stages.feature_extraction.networks import (
    classifier_sha256,
    clip_weights,
    inception_weights,
    read_classifier,
    read_network_description,
)


def read_comparison(
    folder: Path, *, device: torch.device, cache: Path, processes: int | None = None
) -> Comparison:
    """Return the comparison for the network that the stage ``features`` wrote to ``folder``.

    Args:
        folder: the output of the stage.
        device: where features are computed.
        cache: folder in which features are stored.
        processes: number of processes that compute features; None: one for each CUDA device, one on other devices.

    Raises:
        ParamsError: weights of Inception or CLIP are missing, or differ from those that ``features`` saw.
    """
    description = read_network_description(folder)
    features = FeatureCache(cache, Workers(device, processes))
    if description["kind"] == "classifier":
        classifier = read_classifier(folder, description)
        return ClassifierComparison(ClassifierExtractor(classifier, classifier_sha256(folder)), features)
    if description["kind"] == "inception":
        # torch_fidelity takes seconds to import, and only this comparison needs it.
        from stages.feature_extraction.inception_comparison import InceptionComparison  # noqa: PLC0415

        try:
            return InceptionComparison.load(
                inception_weights(description), clip=clip_weights(description), features=features
            )
        except ValueError as error:  # the file is damaged, or has the weights of another network
            raise ParamsError(str(error)) from error
    return NoComparison()
