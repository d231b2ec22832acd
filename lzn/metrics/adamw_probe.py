"""The paper's linear probe (method section 9): a linear layer trained with AdamW on batches of representations.

A callable returns the batches of an epoch. The representations are recomputed under the training augmentation, as in
the paper's main result, or fixed, as in its Figure 19. Only one batch at a time is on the device.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.data.batches import batch_indices, steps_per_epoch

NUM_TOP = 5
"""Number of best scores that count for `top5`."""


@dataclass(frozen=True)
class LabelledFeatures:
    """A batch of samples.

    Attributes:
        features: (b, d) by the name of the representation; d can differ between representations.
        labels: int64 (b,), the same for all representations.
    """

    features: Mapping[str, Tensor]
    labels: Tensor


EpochFeatures = Callable[[int], Iterable[LabelledFeatures]]
"""Returns the batches of an epoch; epochs are numbered from 0."""


@dataclass(frozen=True, kw_only=True)
class AdamWSettings:
    """Settings of the training; the defaults are the paper's. AdamW has no weight decay.

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
    """Accuracies in [0, 1] on the test set; `top5` is None with five classes or fewer, because it is always 1.

    `training_loss` is the mean cross-entropy of the last epoch.
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
    """Train a linear layer for each representation, all in one pass, and measure its test accuracy.

    Layers start at zero, which needs no seed; the problem is convex. The layers are independent, float32, and on the
    device of the first batch. Only ``train`` and ``test`` can be random.

    Args:
        train: batches of an epoch, all with the same representations; labels are in [0, num_classes).
        test: test batches, with at least these representations.
        num_classes: number of classes.
        settings: settings of the training.
        on_epoch: called after each epoch with the number of finished epochs.

    Raises:
        ValueError: an epoch or the test set is empty, labels are out of range, or the loss is not finite.
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
        losses.require_samples("an epoch of the training set has no batch")
        on_epoch(epoch + 1)
    hits = _test_hits(layers, test, num_classes)
    return {
        name: AdamWProbeResult(
            top1=hits.mean(f"{name}.top1"),
            top5=hits.mean(f"{name}.top5") if num_classes > NUM_TOP else None,
            training_loss=_require_finite(losses.mean(name), name),
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
    """Return epochs of fixed representations, each in another random order, without the last partial batch.

    Args:
        features: (n, d) by name, on any device; each batch is moved to ``device``.
        labels: int64 (n,).
        batch_size: number of samples of a batch, at most n.
        seed: seed of the orders.
        device: device of the batches.

    Raises:
        ValueError: there is no full batch.
    """
    steps = steps_per_epoch(len(labels), batch_size)

    def epoch_batches(epoch: int) -> Iterator[LabelledFeatures]:
        for step in range(epoch * steps, (epoch + 1) * steps):
            rows = batch_indices(step, num_samples=len(labels), batch_size=batch_size, seed=seed)
            yield _batch(features, labels, rows, device)

    return epoch_batches


def batches_in_order(
    features: Mapping[str, Tensor], labels: Tensor, *, batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[LabelledFeatures]:
    """Yield every sample once, in batches; the last batch can be smaller. For ``test`` of `adamw_probe`."""
    for start in range(0, len(labels), batch_size):
        rows = slice(start, start + batch_size)
        yield _batch(features, labels, rows, device)


def _batch(
    features: Mapping[str, Tensor], labels: Tensor, rows: slice | Tensor, device: torch.device | str
) -> LabelledFeatures:
    return LabelledFeatures(
        {name: x[rows].to(device) for name, x in features.items()}, labels[rows].to(device)
    )


class _Means:
    """Means over samples by name; their sums stay on the device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, sums: Mapping[str, Tensor], count: int) -> None:
        for name, value in sums.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += count

    def require_samples(self, message: str) -> None:
        if self._count == 0:
            raise ValueError(message)

    def mean(self, name: str) -> float:
        return float(self._sums[name]) / self._count


def _layer_at_zero(features: Tensor, num_classes: int) -> nn.Linear:
    # `nn.Linear` on the CPU would draw its initial weights from the global generator.
    layer = nn.Linear(features.shape[1], num_classes, device="meta").to_empty(device=features.device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _take_step(
    layers: Mapping[str, nn.Linear], optimizer: torch.optim.AdamW, batch: LabelledFeatures
) -> dict[str, Tensor]:
    """Take one step of all layers. Return the cross-entropy of each, summed over the batch (float64)."""
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
    """Count, as ``<representation>.top1`` and ``.top5``, the labels among the best score and the best five."""
    hits = _Means()
    for batch in test:
        _check_labels(batch.labels, num_classes)
        for name, layer in layers.items():
            best = layer(batch.features[name].float()).topk(min(NUM_TOP, num_classes), dim=1).indices
            is_label = best == batch.labels[:, None]  # (b, classes)
            hits.add({f"{name}.top1": is_label[:, 0].sum(), f"{name}.top5": is_label.sum()}, 0)
        hits.add({}, len(batch.labels))
    hits.require_samples("the test set is empty")
    return hits


def _check_labels(labels: Tensor, num_classes: int) -> None:
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"labels must lie in [0, {num_classes}), got {int(labels.min())} to {int(labels.max())}"
        )


def _require_finite(loss: float, name: str) -> float:
    if not loss < float("inf"):
        raise ValueError(
            f"the loss of {name} is not finite; check the network that computes the representation"
        )
    return loss
