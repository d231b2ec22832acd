"""The paper's linear probe (method section 9): one linear layer trained with AdamW on representations that stream by.

What an epoch's representations are, a callable says: recomputed under the training augmentation, as in the paper's main
result, or fixed (its Figure 19). So nothing here knows an encoder, and no more than a batch is ever on the device.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.data.batches import batch_indices, steps_per_epoch

NUM_TOP = 5
"""Classes that count for `top5`."""


@dataclass(frozen=True)
class LabelledFeatures:
    """A batch of samples.

    Attributes:
        features: (b, d) by the name of the representation; each has its own d.
        labels: int64 (b,), the same for all representations.
    """

    features: Mapping[str, Tensor]
    labels: Tensor


EpochFeatures = Callable[[int], Iterable[LabelledFeatures]]
"""The batches of an epoch, counted from 0."""


@dataclass(frozen=True, kw_only=True)
class AdamWSettings:
    """How the linear layer is trained; the defaults are the paper's. AdamW is without weight decay.

    Raises:
        ValueError: a number is not positive.
    """

    num_epochs: int = 300
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        if self.num_epochs < 1 or not self.learning_rate > 0:
            raise ValueError(
                f"num_epochs and learning_rate must be positive, got {self.num_epochs}, {self.learning_rate}"
            )


@dataclass(frozen=True)
class AdamWProbeResult:
    """Accuracies in [0, 1] on the test set; `top5` is None with five classes or fewer, where it says nothing.

    `training_loss` is the mean cross-entropy over the last epoch.
    """

    top1: float
    top5: float | None
    training_loss: float


def adamw_probe(
    train: EpochFeatures,
    test: Iterable[LabelledFeatures],
    *,
    num_classes: int,
    settings: AdamWSettings = AdamWSettings(),
    on_epoch: Callable[[int], object] = lambda epoch: None,
) -> dict[str, AdamWProbeResult]:
    """Top-1 and top-5 test accuracy of a linear layer for each of the representations, all trained in one pass.

    Layers start at zero, which favours no class and needs no seed: the problem is convex. The layers do not influence
    each other. They are float32, on the device of the first batch. What is left to chance is in ``train`` and ``test``.

    Args:
        train: batches of an epoch, all with the same representations; labels lie in [0, num_classes).
        test: batches to measure the accuracy on, with at least those representations.
        num_classes: width of the layers.
        settings: of the training.
        on_epoch: called with the number of finished epochs after each.

    Raises:
        ValueError: an epoch or the test set is empty, labels lie outside their range, or the loss is not finite.
    """
    layers: dict[str, nn.Linear] = {}
    optimizer: torch.optim.AdamW | None = None
    losses = _Means()
    for epoch in range(settings.num_epochs):
        losses = _Means()
        for batch in train(epoch):
            _check_labels(batch.labels, num_classes)
            if optimizer is None:
                layers = {name: _layer_at_zero(x, num_classes) for name, x in batch.features.items()}
                parameters = [p for layer in layers.values() for p in layer.parameters()]
                optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
            losses.add(_take_step(layers, optimizer, batch), len(batch.labels))
        losses.require("an epoch of the training set has no batch")
        on_epoch(epoch + 1)
    hits = _test_hits(layers, test, num_classes)
    return {
        name: AdamWProbeResult(
            top1=hits.mean(f"{name}.top1"),
            top5=hits.mean(f"{name}.top5") if num_classes > NUM_TOP else None,
            training_loss=_finite(losses.mean(name), name),
        )
        for name in layers
    }


def fixed_features(
    features: Mapping[str, Tensor],
    labels: Tensor,
    *,
    batch_size: int,
    seed: int,
    device: torch.device | str = "cpu",
) -> EpochFeatures:
    """Epochs of the same representations in an order drawn anew for each; the last partial batch is dropped.

    Args:
        features: (n, d) by name; they may stay in the host's memory, a batch at a time is moved to ``device``.
        labels: int64 (n,).
        batch_size: samples of a batch, at most n.
        seed: of the orders.
        device: where the batches are wanted.

    Raises:
        ValueError: there is no full batch.
    """
    steps = steps_per_epoch(len(labels), batch_size)

    def epoch_batches(epoch: int) -> Iterator[LabelledFeatures]:
        for step in range(epoch * steps, (epoch + 1) * steps):
            rows = batch_indices(step, num_samples=len(labels), batch_size=batch_size, seed=seed)
            yield LabelledFeatures(
                {name: x[rows].to(device) for name, x in features.items()}, labels[rows].to(device)
            )

    return epoch_batches


def in_order(
    features: Mapping[str, Tensor], labels: Tensor, *, batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[LabelledFeatures]:
    """Every sample once, in batches (the last may be smaller), for `adamw_probe`'s ``test``."""
    for start in range(0, len(labels), batch_size):
        rows = slice(start, start + batch_size)
        yield LabelledFeatures(
            {name: x[rows].to(device) for name, x in features.items()}, labels[rows].to(device)
        )


class _Means:
    """Sums over samples by name, which stay on the device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, sums: Mapping[str, Tensor], count: int) -> None:
        for name, value in sums.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += count

    def require(self, otherwise: str) -> None:
        if self._count == 0:
            raise ValueError(otherwise)

    def mean(self, name: str) -> float:
        return float(self._sums[name]) / self._count


def _layer_at_zero(features: Tensor, num_classes: int) -> nn.Linear:
    # Not drawn first: torch's own initial weights would come from the global generator.
    layer = nn.Linear(features.shape[1], num_classes, device="meta").to_empty(device=features.device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _take_step(
    layers: Mapping[str, nn.Linear], optimizer: torch.optim.AdamW, batch: LabelledFeatures
) -> dict[str, Tensor]:
    """One step of all layers; returns each one's cross-entropy, summed over the batch (float64)."""
    losses = {
        name: functional.cross_entropy(layers[name](x.float()), batch.labels)
        for name, x in batch.features.items()
    }
    optimizer.zero_grad()
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name: loss.detach().double() * len(batch.labels) for name, loss in losses.items()}


@torch.no_grad()
def _test_hits(layers: Mapping[str, nn.Linear], test: Iterable[LabelledFeatures], num_classes: int) -> _Means:
    """By ``<representation>.top1`` and ``.top5``, whether the label is among so many best scores."""
    hits = _Means()
    for batch in test:
        _check_labels(batch.labels, num_classes)
        for name, layer in layers.items():
            best = layer(batch.features[name].float()).topk(min(NUM_TOP, num_classes), dim=1).indices
            is_label = best == batch.labels[:, None]  # (b, classes)
            hits.add({f"{name}.top1": is_label[:, 0].sum(), f"{name}.top5": is_label.sum()}, 0)
        hits.add({}, len(batch.labels))
    hits.require("the test set is empty")
    return hits


def _check_labels(labels: Tensor, num_classes: int) -> None:
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"labels must lie in [0, {num_classes}), got {int(labels.min())} to {int(labels.max())}"
        )


def _finite(loss: float, name: str) -> float:
    if not loss < float("inf"):
        raise ValueError(
            f"the loss of {name} is not finite: look at the network that made the representation"
        )
    return loss
