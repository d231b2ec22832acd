"""How figures look: one set of colours, markers and sizes, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

mpl.use("Agg")

INK = "#1c2733"
MUTED = "#5b6773"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#dfe4e9",
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "svg.hashsalt": "latent zoning network",  # the same figure gives the same file
}


WIDE_INCHES = 7.0


class Look(NamedTuple):
    """How one of several series is told from the others, by more than its colour."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int, ...]]


BASELINE = Look("#6b7580", "o", (0, (4, 2)))
LZN = Look("#0b62a8", "s", "-")
LOOKS = (
    LZN,
    Look("#c8500a", "^", (0, (1, 1))),
    BASELINE,
    Look("#00795c", "D", (0, (6, 1, 1, 1))),
    Look("#8a4f9e", "v", (0, (3, 1))),
    Look("#a67c00", "P", (0, (5, 2, 1, 2, 1, 2))),
    Look("#16a0c4", "X", (0, (8, 2))),
    Look("#b03a6f", "p", (0, (2, 3))),
)
"""Colours that also people who do not see red or green tell apart; darker and lighter in grey."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with what is said about it.

    Attributes:
        name: of its files, without suffix.
        title: heading.
        caption: what is seen.
        paper: the figure of the paper that it corresponds to, empty where there is none.
        alt: what it shows, in words, for those who do not see it.
        figure: the figure itself.
    """

    name: str
    title: str
    caption: str
    paper: str
    alt: str
    figure: Figure

    @property
    def is_wide(self) -> bool:
        """Whether it needs the page's whole width."""
        return bool(self.figure.get_figwidth() >= WIDE_INCHES)

    def save(self, folder: Path) -> None:
        """Write it as SVG and as PNG."""
        folder.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(STYLE):
            self.figure.savefig(folder / f"{self.name}.svg", metadata={"Date": None})
            self.figure.savefig(folder / f"{self.name}.png")


def panels(count: int, *, width: float = 3.6, height: float = 2.9) -> tuple[Figure, Sequence[Axes]]:
    """A figure with panels side by side, two a row at most; sizes of one in inches."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def plain_log_labels(axis: Axis) -> None:
    """Numbers as they are on a logarithmic axis, and not only at powers of ten where it is short."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def look_of(method: str) -> Look:
    """The same method looks the same in every figure."""
    return BASELINE if method in ("rf", "rf_conditional") else LZN
