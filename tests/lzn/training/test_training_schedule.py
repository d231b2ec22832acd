"""The hyperparameters of a training run: warm-up, due steps, and errors."""

from typing import Any

import pytest
from lzn_testing.models.toy_training import toy_schedule


def test_the_learning_rate_rises_linearly_in_the_warm_up_and_then_is_constant() -> None:
    schedule = toy_schedule(warmup_steps=5)
    assert [schedule.warmup_factor(step) for step in range(7)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


def test_the_warm_up_of_the_paper_starts_at_a_5000th() -> None:
    schedule = toy_schedule(warmup_steps=5000)
    assert schedule.warmup_factor(0) == 1 / 5000
    assert schedule.warmup_factor(4999) == 1.0


def test_a_step_is_due_at_multiples_and_at_the_end() -> None:
    schedule = toy_schedule(num_steps=13)
    assert [step for step in range(1, 14) if schedule.is_due(step, every=5)] == [5, 10, 13]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"warmup_steps": 0}, "warmup_steps must be at least 1"),
        ({"log_every": 0}, "log_every must be at least 1"),
        ({"checkpoint_every": -1}, "checkpoint_every must be at least 1, got -1"),
        ({"max_bad_steps": 0}, "max_bad_steps must be at least 1"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm must be positive"),
        ({"ema_decay": 1.0}, r"ema_decay in \[0, 1\)"),
        ({"max_gradient_norm": float("nan")}, "max_gradient_norm must be positive"),
        ({"learning_rates": {"head": 0.0}}, "learning_rates.head must be positive and finite, got 0.0"),
        (
            {"learning_rates": {"head": float("nan")}},
            "learning_rates.head must be positive and finite, got nan",
        ),
        ({"snapshot_steps": (0, 5)}, r"snapshot_steps must lie in \[1, num_steps=13\], got \[0\]"),
        ({"snapshot_steps": (13, 14)}, r"got \[14\]"),
        (
            {"freeze_after": {"decoder": 3}},
            r"freeze_after contains \['decoder'\], which have no learning rate",
        ),
    ],
)
def test_the_error_names_a_number_out_of_range(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        toy_schedule(**change)
