"""Progress in the output of a stage: bars of tqdm, and lines with `step 450 of 1000`."""

import re
from dataclasses import dataclass

_BAR = re.compile(r"^(?P<name>[^|]*?):? *(?P<percent>\d{1,3})%\|.*\| *(?P<counts>\d.*)$")
_STEP = re.compile(r"\bstep (?P<done>\d+) of (?P<total>[1-9]\d*)\b")


@dataclass(frozen=True)
class Progress:
    """The progress in a line.

    Attributes:
        percent: from 0 to 100.
        text: what is done, such as `rf seed 0: 450/1000 [00:10<00:12, 45.20step/s]`.
    """

    percent: float
    text: str


def read_progress(line: str) -> Progress | None:
    """Return the progress in a line; None if there is none."""
    if bar := _BAR.match(line):
        name = f"{bar['name'].strip()}: " if bar["name"].strip() else ""
        return Progress(min(float(bar["percent"]), 100.0), f"{name}{bar['counts']}")
    if step := _STEP.search(line):
        return Progress(min(100.0 * int(step["done"]) / int(step["total"]), 100.0), line.strip())
    return None


def is_bar(line: str) -> bool:
    """Return whether a line is a progress bar, which is shown and not logged."""
    return _BAR.match(line) is not None
