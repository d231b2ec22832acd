"""Figure 19: accuracy of a linear classifier on each representation, and of the control experiments."""

import numpy as np

from stages.reporting.figures.style import BASELINE, INK, LOOKS, LZN, ReportFigure, panels
from stages.reporting.metrics import METRICS
from stages.reporting.results import Results
from stages.reporting.tables.names import REPRESENTATIONS

ENCODERS = {"trained": ("LZN", LZN.colour, ""), "untrained": ("untrained encoder", "#b9c2cb", "///")}
PIXELS = "raw_pixels.pixels.top1"


def representations_figure(run: str, results: Results) -> ReportFigure | None:
    """Draw bars for the trained and the untrained encoder, and a line for raw pixels."""
    if not results.has("probe", run):
        return None
    found = {name: METRICS["top1"].shown(value) for name, value in results.flat("probe", run).items()}
    names = [name for name in REPRESENTATIONS if f"trained.{name}.top1" in found]
    figure, (axes,) = panels(1, width=6.0, height=3.2)
    encoders = [encoder for encoder in ENCODERS if f"{encoder}.{names[0]}.top1" in found]
    width, words = 0.8 / len(encoders), []
    for position, encoder in enumerate(encoders):
        label, colour, hatch = ENCODERS[encoder]
        values = [found[f"{encoder}.{name}.top1"] for name in names]
        places = np.arange(len(names)) + (position - (len(encoders) - 1) / 2) * width
        bars = axes.bar(
            places, [one.mean for one in values], width * 0.94, yerr=[one.std or 0.0 for one in values], label=label,
            color=colour, hatch=hatch, edgecolor="white", ecolor=INK, capsize=2,
        )  # fmt: skip
        axes.bar_label(
            bars,
            [f"{one.mean:.1f}" for one in values],
            padding=2,
            size=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        )
        words += [
            f"{label} {REPRESENTATIONS[name]} {one.text}" for name, one in zip(names, values, strict=True)
        ]
    if PIXELS in found:
        pixels = found[PIXELS].mean
        axes.axhline(
            pixels,
            color=LOOKS[1].colour,
            linestyle=BASELINE.line,
            linewidth=1.2,
            label=f"raw pixels {pixels:.1f}",
        )
        words.append(f"raw pixels {found[PIXELS].text}")
    axes.set_xticks(np.arange(len(names)), [REPRESENTATIONS[name].replace(", ", ",\n") for name in names])
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_ylim(0, 112)
    axes.set_yticks(range(0, 101, 20))
    figure.legend(loc="outside upper right", ncols=3, fontsize=8)
    return ReportFigure(
        name="representations",
        title="Linear classification on each representation",
        caption=f"Test accuracy of a linear classifier on the four representations of {run}, on those of the same "
        "encoder before training, and on raw pixels. Bars: standard deviation over seeds.",
        paper="Figure 19",
        alt="Bar chart of top-1 accuracies in percent: " + "; ".join(words) + ".",
        figure=figure,
    )
