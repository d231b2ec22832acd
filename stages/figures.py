"""The report's pictures, in one style."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

mpl.use("Agg")

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "savefig.dpi": 150,
}


def draw_overview(*, grid: Path, zones: Path, file: Path) -> None:
    """Sample grid, and beside it a slice through the latent space in which each class's zone has its colour."""
    labels = np.load(zones)
    colours = mpl.colormaps["tab10"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2, 1])
        left.imshow(np.asarray(Image.open(grid)))
        left.set_title("Images drawn from the zones of the classes, a column each")
        right.imshow(colours(labels % colours.N), interpolation="nearest")
        right.set_title("The zones, in a plane through the latent space")
        for label in np.unique(labels):
            row, column = _inside(labels == label)
            right.text(
                column, row, str(label), ha="center", va="center", color="white", weight="bold", size=13
            )
        for axes in (left, right):
            axes.set_axis_off()
        figure.savefig(file)


def _inside(region: NDArray[np.bool_]) -> tuple[int, int]:
    """The point of a region that is farthest from its edge: a good place for its name."""
    distance = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(distance.argmax(), region.shape)
    return int(row), int(column)


def draw_curves(curves: Mapping[str, tuple[list[float], list[float]]], *, file: Path) -> None:
    """Loss against step for each run."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.5, 3.2), layout="constrained")
        axes = figure.subplots()
        for run, (steps, losses) in curves.items():
            axes.plot(steps, losses, label=run, linewidth=1.2)
        axes.set_xlabel("training step")
        axes.set_ylabel("rectified flow loss")
        axes.set_yscale("log")
        axes.legend()
        figure.savefig(file)
