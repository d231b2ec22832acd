"""Figure 18: representations in the t-SNE plane."""

import csv
from itertools import cycle

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects

from stages.reporting.figures.style import ReportFigure, panels
from stages.reporting.results import Results

MARKERS = "osD^vP<>X*"


def tsne_figure(run: str, results: Results) -> ReportFigure | None:
    """Draw the points of the first seed with a colour and a marker for each class."""
    file = results.outputs.plot("tsne", f"{run}.csv")
    if not file.exists():
        return None
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    labels = np.array([row["label"] for row in rows])
    present = sorted(set(labels), key=lambda label: (len(label), label))
    names = [results.class_name(run, label) for label in present]
    figure, (axes,) = panels(1, width=5.2, height=4.6)
    colours = mpl.colormaps["tab20" if len(names) > 10 else "tab10"]
    for position, (label, name, marker) in enumerate(zip(present, names, cycle(MARKERS), strict=False)):
        x, y = points[labels == label].T
        axes.scatter(x, y, s=11, marker=marker, color=colours(position % colours.N), alpha=0.75, linewidths=0)
        text = axes.text(np.median(x), np.median(y), name, weight="bold", size=10, ha="center", va="center")
        text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])
    axes.set_axis_off()
    axes.set_aspect("equal")
    kind = "number" if all(name.isdigit() for name in names) else "name"
    return ReportFigure(
        name="tsne",
        title="Representations of classes in the t-SNE plane",
        caption=f"Each point is a test image; {len(names)} classes of {run}, first seed. Each {kind} is at the median "
        "of its class. Axes and distances between clusters have no meaning.",
        paper="Figure 18",
        alt=f"Scatter plot of {len(points)} points of {len(names)} classes: {', '.join(names)}. Means and deviations "
        "of each class are in the table of t-SNE.",
        figure=figure,
    )
