"""Numbers as people read them."""

import math


def with_deviation(mean: float, std: float | None) -> str:
    """``12.1 ± 0.8``: the deviation to one digit, or two if the first is 1, and the mean as far as that goes.

    Without a deviation four digits of the mean.
    """
    if std is None:
        return f"{mean:.4g}"
    if std <= 1e-9 * abs(mean):  # rounding: every seed has the same number
        return f"{mean:.4g} ± 0"
    if not math.isfinite(std):
        return f"{mean:.4g} ± {std}"
    exponent = math.floor(math.log10(std))
    digits = 2 if f"{std:e}".startswith("1") else 1
    decimals = max(0, digits - 1 - exponent)
    return f"{mean:.{decimals}f} ± {std:.{decimals}f}"


def signed(value: float) -> str:
    """With a sign, three digits."""
    return f"{value:+.3g}".replace("-", "−")  # a true minus


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
