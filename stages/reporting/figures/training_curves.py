"""Training curves; a band shows the range over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from stages.reporting.figures.style import LOOKS, Look, ReportFigure, panels, plain_log_labels
from stages.reporting.results import Results

PANELS = {"rectified_flow": "rectified flow loss", "alignment_accuracy": "alignment accuracy, %"}


def training_curve_figures(runs: Mapping[str, str], results: Results) -> Iterator[ReportFigure]:
    """Yield one figure for each data set; ``runs`` maps names of runs to data sets."""
    trained = {run: data for run, data in runs.items() if results.is_trained(run)}
    for data in dict.fromkeys(trained.values()):
        yield _of_data_set(data, [run for run in trained if trained[run] == data], results)


def _of_data_set(data: str, runs: Sequence[str], results: Results) -> ReportFigure:
    curves = {run: _values_by_panel(list(results.curves(run).values())) for run in runs}
    shown = [name for name in PANELS if any(name in found for found in curves.values())]
    figure, axes = panels(len(shown))
    looks = dict(zip(runs, cycle(LOOKS), strict=False))
    ends = []
    for name, one in zip(shown, axes, strict=True):
        for run, found in curves.items():
            if name in found:
                _band(one, *found[name], label=run, look=looks[run])
                ends.append(f"{run} {PANELS[name]} {found[name][1].mean(axis=0)[-1]:.3g}")
        one.set_xlabel("training step")
        one.set_ylabel(PANELS[name])
        one.grid(visible=True, axis="y")
        one.legend(fontsize=7.5, handlelength=2.6)
        if name == "rectified_flow":
            one.set_yscale("log")
            plain_log_labels(one.yaxis)
    seeds = max(len(results.curves(run)) for run in runs)
    band = (
        "Lines are means over seeds; bands extend from the lowest to the highest seed. " if seeds > 1 else ""
    )
    return ReportFigure(
        name=f"curves_{data}",
        title=f"Training on {data}",
        caption=f"{band}Runs with equal seeds and batch sizes see the same batches, noise and times. Alignment "
        "accuracy is the share of training samples whose latent arrives at its own target.",
        paper="",
        alt="Line charts against the training step. At the end: " + "; ".join(ends) + ".",
        figure=figure,
    )


def _values_by_panel(
    seeds: Sequence[Sequence[Mapping[str, float]]],
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return steps (num_steps,) and values (num_seeds, num_steps) for each panel that the run has values for."""
    columns = seeds[0][0].keys()
    named = {"alignment_accuracy": "alignment_accuracy"} if "alignment_accuracy" in columns else {}
    # A study with one loss calls it "loss". It is the alignment loss if there is an alignment accuracy.
    if "rectified_flow" in columns:
        named["rectified_flow"] = "rectified_flow"
    elif "alignment_accuracy" not in columns:
        named["rectified_flow"] = "loss"
    steps = np.array([row["step"] for row in seeds[0]])
    factors = {"alignment_accuracy": 100.0}
    return {
        panel: (steps, factors.get(panel, 1.0) * np.array([[row[column] for row in rows] for rows in seeds]))
        for panel, column in named.items()
    }


def _band(
    axes: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], *, label: str, look: Look
) -> None:
    axes.plot(steps, values.mean(axis=0), label=label, color=look.colour, linestyle=look.line, linewidth=1.4)
    if len(values) > 1:
        axes.fill_between(
            steps, values.min(axis=0), values.max(axis=0), color=look.colour, alpha=0.16, linewidth=0
        )
