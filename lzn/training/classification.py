"""Plain supervised training of a classifier: the in-domain features of the metrics come from it."""

from torch import nn
from torch.nn import functional

from lzn.base.randomness import BatchRandom
from lzn.networks import ImageClassifier
from lzn.training.step import Batch, Losses


class ClassifierModel(nn.Module):
    """One classifier."""

    def __init__(self, classifier: ImageClassifier) -> None:
        super().__init__()
        self.classifier = classifier


def cross_entropy_step(model: ClassifierModel, batch: Batch, random: BatchRandom) -> Losses:
    """Cross entropy and accuracy on one batch."""
    logits = model.classifier(batch.images).float()  # under autocast they are bfloat16
    accuracy = (logits.detach().argmax(dim=1) == batch.labels).float().mean()
    return Losses(functional.cross_entropy(logits, batch.labels), {"accuracy": accuracy})
