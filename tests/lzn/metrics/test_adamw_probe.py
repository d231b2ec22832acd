"""The paper's linear probe: what it reads, what it agrees with, and that no more than a batch passes through it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lzn.metrics import AdamWSettings, LabelledFeatures, adamw_probe, fixed_features, in_order

QUICK = AdamWSettings(num_epochs=20, learning_rate=1e-1)


def clusters(seed: int, *, num_classes: int, n: int, spread: float) -> tuple[Tensor, Tensor]:
    """Points around the unit vectors of their classes, times 4."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % num_classes
    return 4 * torch.eye(num_classes)[labels] + spread * torch.randn(
        n, num_classes, generator=generator
    ), labels


def noise(seed: int, *, num_classes: int, n: int) -> tuple[Tensor, Tensor]:
    """Features that know nothing of their labels."""
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
    found = adamw_probe(
        epochs, in_order({"x": test[0]}, test[1], batch_size=70), num_classes=num_classes, settings=settings
    )["x"]
    return found.top1, found.top5, found.training_loss


def test_separable_classes_are_read_without_error() -> None:
    train, test = (clusters(seed, num_classes=8, n=400, spread=0.3) for seed in (0, 1))
    top1, top5, loss = probe(train, test, num_classes=8)
    assert (top1, top5) == (1.0, 1.0)
    assert loss < 0.05


def test_trained_long_it_is_logistic_regression_without_penalty() -> None:
    """Overlapping classes, so that there is one optimum, far from infinity."""
    train, test = (clusters(seed, num_classes=4, n=600, spread=2.5) for seed in (2, 3))
    settings = AdamWSettings(num_epochs=300, learning_rate=3e-2)
    top1, _, loss = probe(train, test, num_classes=4, settings=settings, batch_size=600)
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(train[0].numpy(), train[1].numpy())
    expected = -np.log(exact.predict_proba(train[0].numpy())[np.arange(600), train[1].numpy()]).mean()
    # Both losses are sums in float32; measured: equal.
    assert loss == pytest.approx(expected, rel=1e-5)
    # The classifiers differ by rounding: at most one sample on the border turns.
    assert top1 == pytest.approx(exact.score(test[0].numpy(), test[1].numpy()), abs=1.01 / 600)


def test_representations_without_information_score_at_chance() -> None:
    train, test = noise(4, num_classes=10, n=4000), noise(5, num_classes=10, n=2000)
    top1, top5, _ = probe(train, test, num_classes=10, settings=replace(QUICK, num_epochs=3), batch_size=500)
    # Binomial with 2000 draws: standard deviations 0.0067 and 0.011, four of each.
    assert top1 == pytest.approx(0.1, abs=0.027)
    assert top5 == pytest.approx(0.5, abs=0.045)


def test_top5_counts_labels_among_the_five_best_scores_and_says_nothing_of_five_classes() -> None:
    """Trained on six classes of which the test's labels are the second best, the top 5 find what the top 1 miss."""
    features, labels = clusters(6, num_classes=6, n=300, spread=0.3)
    neighbours = features + 2 * torch.eye(6)[(labels + 1) % 6]  # the next class is second best
    top1, top5, _ = probe((features, labels), (neighbours, (labels + 1) % 6), num_classes=6)
    assert (top1, top5) == (0.0, 1.0)
    five = clusters(6, num_classes=5, n=300, spread=0.3)
    assert probe(five, five, num_classes=5)[1] is None


def test_the_same_seed_gives_the_same_and_another_order_nearly_the_same() -> None:
    train, test = (clusters(seed, num_classes=6, n=300, spread=2.0) for seed in (7, 8))
    first, same, other = (probe(train, test, num_classes=6, seed=seed) for seed in (0, 0, 1))
    assert first == same
    assert first != other
    # The problem is convex: orders differ by the scatter of the last steps.
    assert first[0] == pytest.approx(other[0], abs=0.03)


def test_representations_that_are_probed_together_do_not_influence_each_other() -> None:
    train, test = (clusters(seed, num_classes=6, n=300, spread=2.0) for seed in (9, 10))
    other = torch.randn(300, 3, generator=torch.Generator().manual_seed(11))
    epochs = fixed_features({"x": train[0], "other": other}, train[1], batch_size=50, seed=0)
    both = adamw_probe(
        epochs,
        in_order({"x": test[0], "other": other}, test[1], batch_size=70),
        num_classes=6,
        settings=QUICK,
    )
    assert both.keys() == {"x", "other"}
    assert (both["x"].top1, both["x"].top5, both["x"].training_loss) == probe(train, test, num_classes=6)


def test_it_needs_no_global_random_numbers() -> None:
    train = clusters(12, num_classes=6, n=100, spread=1.0)
    before = torch.random.get_rng_state()
    probe(train, train, num_classes=6, settings=replace(QUICK, num_epochs=1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_each_epoch_asks_for_its_own_batches_and_keeps_none_of_them() -> None:
    """Recomputed representations: the epochs are asked for in order, and batches are used up one by one."""
    features, labels = clusters(13, num_classes=6, n=120, spread=0.3)
    alive: list[int] = []

    def epoch_batches(epoch: int) -> Iterator[LabelledFeatures]:
        for start in range(0, 120, 40):
            alive.append(epoch)
            yield LabelledFeatures(
                {"x": features[start : start + 40] + 0.01 * epoch}, labels[start : start + 40]
            )

    finished: list[int] = []
    adamw_probe(
        epoch_batches,
        in_order({"x": features}, labels, batch_size=40),
        num_classes=6,
        settings=replace(QUICK, num_epochs=3),
        on_epoch=lambda epoch: finished.append(len(alive)),
    )
    assert alive == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert finished == [3, 6, 9]


def test_an_epoch_of_fixed_features_has_every_sample_once_in_a_new_order() -> None:
    features, labels = torch.arange(10.0)[:, None], torch.arange(10)
    epochs = fixed_features({"x": features}, labels, batch_size=5, seed=0)
    orders = [torch.cat([batch.labels for batch in epochs(epoch)]).tolist() for epoch in (0, 1)]
    assert [sorted(order) for order in orders] == [list(range(10))] * 2
    assert orders[0] != orders[1]
    assert all(torch.equal(batch.features["x"][:, 0].long(), batch.labels) for batch in epochs(0))
    assert [len(batch.labels) for batch in in_order({"x": features}, labels, batch_size=4)] == [4, 4, 2]


def test_what_cannot_be_probed_is_refused_in_words() -> None:
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
