"""Figures 17 and 24: distance against the number of Euler steps."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from stages.measuring.quantity import Quantity
from stages.reporting.figures.style import ReportFigure, look_of, panels, plain_log_labels
from stages.reporting.metrics import distance_metric
from stages.reporting.results import Results
from stages.reporting.sweeps import distances_by_steps
from stages.reporting.tables.names import DATA_SETS, METHODS

Series = dict[str, dict[int, Quantity]]
"""By method, then by number of steps."""


def steps_figure(
    name: str, kind: str, paper: str, runs: Mapping[str, Mapping[str, str]], results: Results
) -> ReportFigure | None:
    """Draw one panel for each data set; ``runs`` are by data set, then by method."""
    found = {data: _series(methods, results) for data, methods in runs.items()}
    shown = {data: series for data, series in found.items() if series is not None}
    if not shown:
        return None
    figure, axes = panels(len(shown), width=4.4 if len(shown) == 1 else 3.6, height=3.0)
    words = []
    for one, (data, (distance, series)) in zip(axes, shown.items(), strict=True):
        _draw(one, series)
        one.set_title(DATA_SETS.get(data, data))
        one.set_ylabel(distance)
        words.append(f"{DATA_SETS.get(data, data)}, {distance}: {_in_words(series)}")
    return ReportFigure(
        name=name,
        title=f"Distance against Euler steps, {kind}",
        caption="Distance of generated images from the training images, against the number of steps of the Euler "
        "sampler; lower is better. Both axes are logarithmic. Bars: standard deviation over seeds, where there are "
        "several.",
        paper=paper,
        alt=". ".join(words) + ".",
        figure=figure,
    )


def _series(methods: Mapping[str, str], results: Results) -> tuple[str, Series] | None:
    """Return the heading and the numbers of the first distance that all runs have; None if there is none."""
    found = {
        method: distances_by_steps(run, results)
        for method, run in methods.items()
        if results.has("steps", run)
    }
    names = [
        name for name in next(iter(found.values()), {}) if all(name in other for other in found.values())
    ]
    if not names:
        return None
    return distance_metric(names[0]).heading, {
        method: distances[names[0]] for method, distances in found.items()
    }


def _draw(axes: Axes, series: Series) -> None:
    for method, by_steps in series.items():
        look = look_of(method)
        axes.errorbar(
            list(by_steps),
            [found.mean for found in by_steps.values()],
            yerr=[found.std or 0.0 for found in by_steps.values()],
            label=METHODS[method],
            color=look.colour,
            marker=look.marker,
            markersize=4,
            linestyle=look.line,
            linewidth=1.4,
            capsize=2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    steps = sorted({num for by_steps in series.values() for num in by_steps})
    axes.set_xticks(steps, [str(num) for num in steps])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    plain_log_labels(axes.yaxis)
    axes.set_xlabel("Euler steps")
    axes.grid(visible=True, axis="y")
    axes.legend()


def _in_words(series: Series) -> str:
    return "; ".join(
        f"{METHODS[method]} " + ", ".join(f"{distance.text} at {num}" for num, distance in by_steps.items())
        for method, by_steps in series.items()
    )
