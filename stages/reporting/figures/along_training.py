"""Figure 20: accuracy of the linear probe along training."""

from stages.reporting.figures.style import LZN, ReportFigure, panels
from stages.reporting.results import Results
from stages.reporting.sweeps import accuracies_along_training


def along_training_figure(run: str, results: Results) -> ReportFigure | None:
    """Draw the accuracy against the training step; None if the run keeps no snapshots."""
    found = accuracies_along_training(run, results) if results.has("probe", run) else {}
    if not found:
        return None
    figure, (axes,) = panels(1, width=4.8, height=3.0)
    axes.errorbar(
        list(found),
        [one.mean for one in found.values()],
        yerr=[one.std or 0.0 for one in found.values()],
        color=LZN.colour,
        marker=LZN.marker,
        markersize=4,
        linewidth=1.4,
        capsize=2,
    )
    axes.set_xlabel("training step")
    axes.set_ylabel("top-1 accuracy, %")
    axes.grid(visible=True, axis="y")
    return ReportFigure(
        name="along_training",
        title="Linear probe along training",
        caption=f"Test accuracy of a linear classifier on the representation without head of {run}, at snapshots of "
        "its training. Bars: standard deviation over seeds.",
        paper="Figure 20",
        alt="Line chart of top-1 accuracy in percent: "
        + ", ".join(f"{one.text} at step {step}" for step, one in found.items())
        + ".",
        figure=figure,
    )
