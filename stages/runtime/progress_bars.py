"""Progress bars of stages, which a person sees in a terminal and a flow reads from the output."""

import os
from typing import Never

from tqdm import tqdm

PROGRESS_VARIABLE = "LZN_PROGRESS_BARS"


def progress_bar(
    name: str, *, total: int | None, unit: str, initial: int = 0, scaled: bool = False, shown: bool = True
) -> "tqdm[Never]":
    """Return a progress bar.

    It is shown only if stderr is a terminal, or if a flow, which reads it, sets LZN_PROGRESS_BARS.

    Args:
        name: is written before the bar.
        total: the number of units; None if unknown.
        unit: what is counted.
        initial: the number of units that are already done.
        scaled: whether numbers are written with k, M and G.
        shown: False for a process that shows no bar.
    """
    wanted = False if os.environ.get(PROGRESS_VARIABLE) else None  # None: only if stderr is a terminal
    disable = wanted if shown else True
    return tqdm(total=total, initial=initial, desc=name, unit=unit, unit_scale=scaled, disable=disable)
