"""Images generated from the zones of the classes, and a map of these zones."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from stages.reporting.figures.style import STYLE, ReportFigure
from stages.reporting.results import Results

CAPTION = (
    "Left: images that {run} generates from the latent zones of the classes, one column for each class. Right: the "
    "plane through the origin of the latent space in which the centres of the zones spread most. Colours and {kind}s "
    "are the classes whose zones the points lie in; the model predicts these classes. First seed."
)


def overview_figure(run: str | None, results: Results) -> ReportFigure | None:
    """Draw sampled images and zones of ``run``; None without a run, images or zones."""
    if run is None or not results.has("classify", run):
        return None
    grid = results.outputs.plot("sample", f"{run}/classes.png")
    zones = results.outputs.plot("classify", f"{run}.npy")
    if not (grid.exists() and zones.exists()):
        return None
    labels: NDArray[np.int32] = np.load(zones)
    names = {int(label): results.class_name(run, label) for label in np.unique(labels)}
    kind = "number" if all(name.isdigit() for name in names.values()) else "name"
    return ReportFigure(
        name="overview",
        title="The zones of the classes",
        caption=CAPTION.format(run=run, kind=kind),
        paper="",
        alt="Left: a grid of generated images, one column for each class. Right: a plane through the latent space, "
        + "divided into the zones of the classes "
        + ", ".join(f"{name} ({100 * np.mean(labels == label):.0f} %)" for label, name in names.items())
        + "; percentages are shares of the plane.",
        figure=draw_overview(np.asarray(Image.open(grid)), labels, names),
    )


def draw_overview(grid: NDArray[np.uint8], zones: NDArray[np.int32], names: Mapping[int, str]) -> Figure:
    """Draw a grid of sampled images and a map (rows, columns) of the class of each point in a plane of latents.

    ``names`` has the name of each class of ``zones``.
    """
    colours = mpl.colormaps["tab10"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2, 1])
        left.imshow(grid, interpolation="nearest")
        left.set_title("Samples from the zones, one column for each class")
        right.imshow(colours(zones % colours.N), interpolation="nearest")
        right.set_title("The zones in a plane")
        size = 13 if max(map(len, names.values())) <= 3 else 8
        for label, name in names.items():
            row, column = _inside(zones == label)
            right.text(column, row, name, ha="center", va="center", color="white", weight="bold", size=size)
        for axes in (left, right):
            axes.set_axis_off()
    return figure


def _inside(region: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the row and column of the point farthest from the region's edge, where its name is written."""
    distance = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(distance.argmax(), region.shape)
    return int(row), int(column)
