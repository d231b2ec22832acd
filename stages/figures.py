"""The report's pictures, in one style."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

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
    """Sample grid, and beside it the latents of its run seen where the classes' zones separate best."""
    latents = np.load(zones)
    projection = LinearDiscriminantAnalysis(n_components=2).fit(latents["label_latents"], latents["labels"])
    colours = mpl.colormaps["tab10"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        left.imshow(np.asarray(Image.open(grid)))
        left.set_axis_off()
        left.set_title("Drawn from the classes' latent zones")
        dots = projection.transform(latents["label_latents"])
        circles = projection.transform(latents["image_latents"])
        for label in np.unique(latents["labels"]):
            colour = [colours(int(label) % colours.N)]
            right.scatter(*dots[latents["labels"] == label].T, s=5, c=colour, alpha=0.45, linewidths=0)
            own = latents["image_labels"] == label
            right.scatter(
                *circles[own].T, s=16, facecolors="none", edgecolors=colour, linewidths=0.8, label=str(label)
            )
        right.set_title("Latents: zones of classes (dots), test images (circles)")
        right.set_xticks([])
        right.set_yticks([])
        right.legend(title="class", loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.1)
        figure.savefig(file)


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
