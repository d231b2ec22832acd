"""The training step of the classifier whose features the metrics use."""

import pytest
import torch

from lzn.base.randomness import BatchRandom
from lzn.networks import ImageClassifier
from lzn.training import Batch, ClassifierModel, cross_entropy_step


def test_the_loss_is_the_cross_entropy_and_the_accuracy_the_share_of_right_labels() -> None:
    torch.manual_seed(0)
    model = ClassifierModel(ImageClassifier(image_size=8, image_channels=1, num_classes=4, base_channels=8))
    generator = torch.Generator().manual_seed(1)
    batch = Batch(torch.rand(12, 1, 8, 8, generator=generator) * 2 - 1, torch.arange(12) % 4)
    losses = cross_entropy_step(model, batch, BatchRandom.for_whole_batch(12, generator))
    probability = model.classifier(batch.images).detach().double().softmax(dim=1)
    of_label = probability[torch.arange(12), batch.labels]
    # The logits are float32.
    assert losses.total.item() == pytest.approx(-of_label.log().mean().item(), rel=1e-5)
    accuracy = (of_label == probability.max(dim=1).values).double().mean().item()
    assert losses.metrics["accuracy"].item() == pytest.approx(accuracy)
    losses.total.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
