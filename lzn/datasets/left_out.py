"""Files in the folder of a data set that are not read: counted by ending, reason and class, and shown as a table."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class LeftOut:
    """Why files are left out.

    Attributes:
        folder: the first folder of their paths, which is the class if there are classes; empty for files in the root.
        ending: the ending of their names in small letters, such as ``.jp2``; empty without one.
        reason: why they are left out.
    """

    folder: str
    ending: str
    reason: str


LeftOutCounts = Mapping[LeftOut, int]
"""The number of files, or of folders of the system, for each reason."""


def below(folder: str, counts: LeftOutCounts) -> Counter[LeftOut]:
    """Return the counts of a subfolder as counts of the folder above it."""
    moved: Counter[LeftOut] = Counter()
    for left_out, count in counts.items():
        moved[LeftOut(folder, left_out.ending, left_out.reason)] += count
    return moved


def as_table(counts: LeftOutCounts) -> str:
    """Return a table with one line for each folder, ending and reason."""
    rows = [("files", "folder", "ending", "reason")]
    rows += [
        (str(count), one.folder or ".", one.ending or "none", one.reason)
        for one, count in sorted(counts.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}" for row in rows
    )
