"""Work that cannot end within its time is refused after seconds, by a clock that each evaluation moves on."""

import pytest
import torch
from torch import Tensor

from lzn.inference import time_limit
from lzn.inference.errors import UserError
from lzn.inference.time_limit import TimedSampler
from lzn.rectified_flow.ode import EulerSampler, RK45Sampler


class Clock:
    """A clock that stands still between evaluations of a velocity."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds, self.evaluations = 1000.0, seconds, 0

    def monotonic(self) -> float:
        return self.now

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        self.now += self.seconds
        self.evaluations += 1
        return -x


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(1.0)
    monkeypatch.setattr(time_limit, "time", clock)
    return clock


def solve(sampler: TimedSampler, clock: Clock) -> None:
    sampler.integrate(clock.velocity, torch.ones(2, 3), t_start=0.0, t_end=1.0)


def test_work_for_which_there_is_clearly_no_time_is_refused_at_once(clock: Clock) -> None:
    sampler = TimedSampler(EulerSampler(num_steps=1000), max_seconds=100)
    with pytest.raises(
        UserError, match=r"need about 1000 seconds, more than 100: ask for fewer images or steps"
    ):
        solve(sampler, clock)
    assert clock.evaluations == 3, "the estimate begins after two seconds"


def test_all_solutions_count(clock: Clock) -> None:
    sampler = TimedSampler(EulerSampler(num_steps=10), max_seconds=40, num_solutions=10, advice="do less")
    with pytest.raises(UserError, match="need about 100 seconds, more than 40: do less"):
        solve(sampler, clock)
    assert clock.evaluations == 3


def test_work_that_may_just_be_done_is_tried_until_the_limit(clock: Clock) -> None:
    sampler = TimedSampler(EulerSampler(num_steps=100), max_seconds=60)
    with pytest.raises(UserError, match="need more than 60 seconds"):
        solve(sampler, clock)
    assert clock.evaluations == 61


def test_work_within_the_limit_is_done(clock: Clock) -> None:
    sampler = TimedSampler(EulerSampler(num_steps=10), max_seconds=30, num_solutions=3)
    for _ in range(3):
        solve(sampler, clock)
    assert clock.evaluations == 30


def test_adaptive_steps_are_estimated_by_the_part_of_the_time_that_is_solved(clock: Clock) -> None:
    sampler = TimedSampler(RK45Sampler(rtol=2e-6, atol=2e-6), max_seconds=10, num_solutions=50)
    with pytest.raises(UserError, match=r"need (about \d+|more than 10) seconds"):
        solve(sampler, clock)
    assert clock.evaluations <= 11
