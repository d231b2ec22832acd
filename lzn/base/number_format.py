"""Numbers as text for people."""

import math


def with_deviation(mean: float, std: float | None) -> str:
    """Return text like ``12.1 ± 0.8``, with one digit of the deviation (two if the first is 1).

    The mean has as many decimals. If the deviation is None, return the mean with four digits.
    """
    if std is None:
        return f"{mean:.4g}"
    if std <= 1e-9 * abs(mean):  # All seeds have the same number, up to rounding.
        return f"{mean:.4g} ± 0"
    if not math.isfinite(std):
        return f"{mean:.4g} ± {std}"
    exponent = math.floor(math.log10(std))
    digits = 2 if f"{std:e}".startswith("1") else 1
    decimals = max(0, digits - 1 - exponent)
    return f"{mean:.{decimals}f} ± {std:.{decimals}f}"


def signed(value: float) -> str:
    """Return the number with its sign and three digits."""
    return f"{value:+.3g}".replace("-", "−")  # the typographic minus sign


def duration(seconds: float) -> str:
    """Return text like ``45 s``, ``12 min`` or ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
