"""The paper's linear probe: known accuracies, agreement with logistic regression, and independence of its inputs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lzn.metrics import AdamWSettings, LabelledFeatures, adamw_probe, batches_in_order, fixed_features

QUICK = AdamWSettings(num_epochs=20, learning_rate=1e-1)


def clusters(seed: int, *, num_classes: int, n: int, spread: float) -> tuple[Tensor, Tensor]:
    """Return points around 4 times the unit vector of their class, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % num_classes
    return 4 * torch.eye(num_classes)[labels] + spread * torch.randn(
        n, num_classes, generator=generator
    ), labels


def noise(seed: int, *, num_classes: int, n: int) -> tuple[Tensor, Tensor]:
    """Return features that are independent of their labels, and labels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, generator=generator), torch.randint(num_classes, (n,), generator=generator)


def probe(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    num_classes: int,
    settings: AdamWSettings = QUICK,
    batch_size: int = 50,
    seed: int = 0,
) -> tuple[float, float | None, float]:
    epochs = fixed_features({"x": train[0]}, train[1], batch_size=batch_size, seed=seed)
    result = adamw_probe(
        epochs,
        batches_in_order({"x": test[0]}, test[1], batch_size=70),
        num_classes=num_classes,
        settings=settings,
    )["x"]
    return result.top1, result.top5, result.training_loss


def test_separable_classes_have_accuracy_one() -> None:
    train, test = (clusters(seed, num_classes=8, n=400, spread=0.3) for seed in (0, 1))
    top1, top5, loss = probe(train, test, num_classes=8)
    assert (top1, top5) == (1.0, 1.0)
    assert loss < 0.05


def test_after_long_training_it_equals_logistic_regression_without_penalty() -> None:
    """The classes overlap, so the optimum is finite and unique."""
    train, test = (clusters(seed, num_classes=4, n=600, spread=2.5) for seed in (2, 3))
    settings = AdamWSettings(num_epochs=300, learning_rate=3e-2)
    top1, _, loss = probe(train, test, num_classes=4, settings=settings, batch_size=600)
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(train[0].numpy(), train[1].numpy())
    expected = -np.log(exact.predict_proba(train[0].numpy())[np.arange(600), train[1].numpy()]).mean()
    # Both losses are sums in float32; their measured difference is 0.
    assert loss == pytest.approx(expected, rel=1e-5)
    # The classifiers differ by rounding; at most one sample at the boundary changes its class.
    assert top1 == pytest.approx(exact.score(test[0].numpy(), test[1].numpy()), abs=1.01 / 600)


def test_representations_without_information_have_the_accuracy_of_chance() -> None:
    train, test = noise(4, num_classes=10, n=4000), noise(5, num_classes=10, n=2000)
    top1, top5, _ = probe(train, test, num_classes=10, settings=replace(QUICK, num_epochs=3), batch_size=500)
    # Binomial with 2000 samples: standard deviations 0.0067 and 0.011; the tolerances are four of each.
    assert top1 == pytest.approx(0.1, abs=0.027)
    assert top5 == pytest.approx(0.5, abs=0.045)


def test_top5_counts_labels_among_the_five_best_scores_and_is_none_for_five_classes() -> None:
    """The test labels are the second best of six classes, so top 1 is always wrong and top 5 always right."""
    features, labels = clusters(6, num_classes=6, n=300, spread=0.3)
    neighbours = features + 2 * torch.eye(6)[(labels + 1) % 6]  # the next class is second best
    top1, top5, _ = probe((features, labels), (neighbours, (labels + 1) % 6), num_classes=6)
    assert (top1, top5) == (0.0, 1.0)
    five = clusters(6, num_classes=5, n=300, spread=0.3)
    assert probe(five, five, num_classes=5)[1] is None


def test_the_same_seed_gives_the_same_result_and_another_seed_nearly_the_same() -> None:
    train, test = (clusters(seed, num_classes=6, n=300, spread=2.0) for seed in (7, 8))
    first, same, other = (probe(train, test, num_classes=6, seed=seed) for seed in (0, 0, 1))
    assert first == same
    assert first != other
    # The problem is convex, so orders differ only by the noise of the last steps.
    assert first[0] == pytest.approx(other[0], abs=0.03)


def test_the_result_of_a_representation_does_not_depend_on_the_others() -> None:
    train, test = (clusters(seed, num_classes=6, n=300, spread=2.0) for seed in (9, 10))
    other = torch.randn(300, 3, generator=torch.Generator().manual_seed(11))
    epochs = fixed_features({"x": train[0], "other": other}, train[1], batch_size=50, seed=0)
    both = adamw_probe(
        epochs,
        batches_in_order({"x": test[0], "other": other}, test[1], batch_size=70),
        num_classes=6,
        settings=QUICK,
    )
    assert both.keys() == {"x", "other"}
    assert (both["x"].top1, both["x"].top5, both["x"].training_loss) == probe(train, test, num_classes=6)


def test_the_probe_does_not_use_the_global_generator() -> None:
    train = clusters(12, num_classes=6, n=100, spread=1.0)
    before = torch.random.get_rng_state()
    probe(train, train, num_classes=6, settings=replace(QUICK, num_epochs=1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_each_epoch_reads_its_own_batches_one_by_one() -> None:
    """Representations can be recomputed: epochs are read in order, and all batches of an epoch before the next."""
    features, labels = clusters(13, num_classes=6, n=120, spread=0.3)
    read_epochs: list[int] = []

    def epoch_batches(epoch: int) -> Iterator[LabelledFeatures]:
        for start in range(0, 120, 40):
            read_epochs.append(epoch)
            yield LabelledFeatures(
                {"x": features[start : start + 40] + 0.01 * epoch}, labels[start : start + 40]
            )

    finished: list[int] = []
    adamw_probe(
        epoch_batches,
        batches_in_order({"x": features}, labels, batch_size=40),
        num_classes=6,
        settings=replace(QUICK, num_epochs=3),
        on_epoch=lambda epoch: finished.append(len(read_epochs)),
    )
    assert read_epochs == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert finished == [3, 6, 9]


def test_an_epoch_of_fixed_features_has_every_sample_once_in_another_order() -> None:
    features, labels = torch.arange(10.0)[:, None], torch.arange(10)
    epochs = fixed_features({"x": features}, labels, batch_size=5, seed=0)
    orders = [torch.cat([batch.labels for batch in epochs(epoch)]).tolist() for epoch in (0, 1)]
    assert [sorted(order) for order in orders] == [list(range(10))] * 2
    assert orders[0] != orders[1]
    assert all(torch.equal(batch.features["x"][:, 0].long(), batch.labels) for batch in epochs(0))
    assert [len(batch.labels) for batch in batches_in_order({"x": features}, labels, batch_size=4)] == [
        4,
        4,
        2,
    ]


def test_wrong_arguments_are_an_error() -> None:
    features, labels = clusters(14, num_classes=6, n=60, spread=0.3)
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 5\), got 0 to 5"):
        probe((features, labels), (features, labels), num_classes=5)
    with pytest.raises(ValueError, match="the test set is empty"):
        probe((features, labels), (features[:0], labels[:0]), num_classes=6)
    with pytest.raises(ValueError, match="an epoch of the training set has no batch"):
        adamw_probe(lambda epoch: [], [], num_classes=6)
    with pytest.raises(ValueError, match="the loss of x is not finite"):
        probe((features * float("nan"), labels), (features, labels), num_classes=6)
    with pytest.raises(ValueError, match="batch_size must lie in"):
        fixed_features({"x": features}, labels, batch_size=61, seed=0)
    with pytest.raises(ValueError, match="num_epochs and learning_rate must be positive"):
        AdamWSettings(num_epochs=0)
