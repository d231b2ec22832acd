"""Supervised training of the classifier whose features the metrics use for a data set."""

from torch import nn
from torch.nn import functional

from lzn.base.randomness import BatchRandom
from lzn.networks import ImageClassifier
from lzn.training.step import Batch, Losses


class ClassifierModel(nn.Module):
    """A classifier as the only part of a model, with its own learning rate."""

    def __init__(self, classifier: ImageClassifier) -> None:
        super().__init__()
        self.classifier = classifier


def cross_entropy_step(model: ClassifierModel, batch: Batch, random: BatchRandom) -> Losses:
    """Compute cross-entropy and accuracy of one batch."""
    logits = model.classifier(batch.images).float()  # bfloat16 under autocast
    accuracy = (logits.detach().argmax(dim=1) == batch.labels).float().mean()
    return Losses(functional.cross_entropy(logits, batch.labels), {"accuracy": accuracy})
