"""Figure 19: how much a linear classifier reads from each representation, beside controls."""

import numpy as np

from lzn.base.number_format import with_deviation
from stages.measuring.quantity import Quantity, flatten_quantities
from stages.reporting.figures.style import BASELINE, INK, LOOKS, LZN, ReportFigure, panels
from stages.reporting.results import Results
from stages.reporting.tables.names import REPRESENTATIONS

OWNERS = {"trained": ("LZN", LZN.colour, ""), "untrained": ("untrained encoder", "#b9c2cb", "///")}
PIXELS = "raw_pixels.pixels.top1"


def representations_figure(run: str, results: Results) -> ReportFigure | None:
    """Bars of the trained and the untrained encoder, a line for raw pixels. None where the stage has not run."""
    if not results.has("probe", run):
        return None
    found = {name: value.times(100) for name, value in flatten_quantities(results.of("probe", run)).items()}
    names = [name for name in REPRESENTATIONS if f"trained.{name}.top1" in found]
    figure, (axes,) = panels(1, width=6.0, height=3.2)
    owners = [owner for owner in OWNERS if f"{owner}.{names[0]}.top1" in found]
    width, words = 0.8 / len(owners), []
    for position, owner in enumerate(owners):
        label, colour, hatch = OWNERS[owner]
        values = [found[f"{owner}.{name}.top1"] for name in names]
        places = np.arange(len(names)) + (position - (len(owners) - 1) / 2) * width
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
            f"{label} {REPRESENTATIONS[name]} {_text(one)}" for name, one in zip(names, values, strict=True)
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
        words.append(f"raw pixels {_text(found[PIXELS])}")
    axes.set_xticks(np.arange(len(names)), [REPRESENTATIONS[name].replace(", ", ",\n") for name in names])
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_ylim(0, 112)
    axes.set_yticks(range(0, 101, 20))
    figure.legend(loc="outside upper right", ncols=3, fontsize=8)
    return ReportFigure(
        name="representations",
        title="What a linear classifier reads from each representation",
        caption=f"Test accuracy of a linear classifier on the four representations of {run}, on those of the same "
        "encoder before training, and on raw pixels. Bars: standard deviation over seeds, where there are several.",
        paper="Figure 19",
        alt="Bar chart of top-1 accuracies in percent: " + "; ".join(words) + ".",
        figure=figure,
    )


def _text(found: Quantity) -> str:
    return with_deviation(found.mean, found.std)
