"""Colours, markers and sizes of all figures, and how figures are saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lzn.base.files import atomic_write

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
"""Figures of this width or more take the whole width of the page."""


class Look(NamedTuple):
    """Colour, marker and line style of a series; series differ in all three."""

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
"""The colours are distinct for people with red-green colour blindness, and in greyscale."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its texts.

    Attributes:
        name: the name of its files, without suffix.
        title: the heading.
        caption: the text below the figure.
        paper: the corresponding figure of the paper; empty if there is none.
        alt: the content in words, for screen readers.
        figure: the figure of matplotlib.
    """

    name: str
    title: str
    caption: str
    paper: str
    alt: str
    figure: Figure

    @property
    def is_wide(self) -> bool:
        """Whether the figure takes the whole width of the page."""
        return bool(self.figure.get_figwidth() >= WIDE_INCHES)

    def save(self, folder: Path) -> None:
        """Write the figure as SVG and PNG."""
        with mpl.rc_context(STYLE):
            with atomic_write(folder / f"{self.name}.svg") as partial:
                self.figure.savefig(partial, metadata={"Date": None})
            with atomic_write(folder / f"{self.name}.png") as partial:
                self.figure.savefig(partial)


def panels(count: int, *, width: float = 3.6, height: float = 2.9) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with ``count`` panels, at most two in a row; width and height of a panel are in inches."""
    columns = min(count, 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = list(grid.flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def plain_log_labels(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers at 1, 2 and 5 times powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def look_of(method: str) -> Look:
    """Return the look of a method, which is the same in every figure."""
    return BASELINE if method in ("rf", "rf_conditional") else LZN
