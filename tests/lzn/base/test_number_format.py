"""Numbers as text for people."""

import math

import pytest

from lzn.base.number_format import duration, signed, with_deviation


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (12.0621, 0.84, "12.1 ± 0.8"),
        (12.0621, 0.15, "12.06 ± 0.15"),
        (0.08806, 0.0123, "0.088 ± 0.012"),
        (1234.5, 56.0, "1234 ± 56"),
        (93.05, 0.0, "93.05 ± 0"),
        (42.5531914893617, 5e-15, "42.55 ± 0"),
        (2.59, None, "2.59"),
        (2.59, math.inf, "2.59 ± inf"),
    ],
)
def test_a_mean_has_the_decimals_of_its_deviation(mean: float, std: float | None, text: str) -> None:
    assert with_deviation(mean, std) == text


def test_signs_are_always_written() -> None:
    assert [signed(value) for value in (1.2345, -0.5, 0.0)] == ["+1.23", "−0.5", "+0"]


def test_durations_are_in_seconds_minutes_or_hours() -> None:
    assert [duration(value) for value in (45.2, 700, 3.4 * 3600)] == ["45 s", "12 min", "3.4 h"]
