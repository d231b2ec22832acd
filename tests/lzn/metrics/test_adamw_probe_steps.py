"""The steps of the probe's training are those of Adam without weight decay."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lzn.metrics.adamw_probe import AdamWSettings, LabelledFeatures, adamw_probe, fixed_features

NUM_CLASSES = 3
SETTINGS = AdamWSettings(num_epochs=8, learning_rate=0.1)


def test_minibatch_steps_are_those_of_plain_adam() -> None:
    """At this learning rate AdamW's usual weight decay of 0.01 would change the loss by several percent."""
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(60, 4, generator=generator), torch.arange(60) % NUM_CLASSES
    features[:, 0] += labels
    epochs = fixed_features({"x": features}, labels, batch_size=20, seed=0)

    layer = nn.Linear(4, NUM_CLASSES)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(layer.parameters(), lr=SETTINGS.learning_rate)
    losses: list[float] = []
    for epoch in range(SETTINGS.num_epochs):
        losses = []
        for batch in epochs(epoch):
            loss = functional.cross_entropy(layer(batch.features["x"]), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    accuracy = (layer(features).argmax(1) == labels).double().mean().item()

    test = [LabelledFeatures({"x": features}, labels)]
    found = adamw_probe(epochs, test, num_classes=NUM_CLASSES, settings=SETTINGS)["x"]
    # The same float32 operations; the mean of the losses may be taken in another order.
    assert found.training_loss == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    assert found.top1 == pytest.approx(accuracy)
