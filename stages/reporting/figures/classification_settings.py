"""Figure 25: accuracy against batch size and alpha when images are classified."""

import numpy as np

from stages.reporting.figures.style import ReportFigure, panels
from stages.reporting.results import Results
from stages.reporting.sweeps import accuracies_by_setting


def settings_figure(run: str, results: Results) -> ReportFigure | None:
    """Draw a heat map with a number in each cell."""
    if not results.has("settings", run):
        return None
    grid = accuracies_by_setting(run, results)
    alphas = sorted({alpha for by_alpha in grid.values() for alpha in by_alpha}, reverse=True)
    means = np.array(
        [[by_alpha[a].mean if a in by_alpha else np.nan for a in alphas] for by_alpha in grid.values()]
    )
    figure, (axes,) = panels(
        1, width=max(4.6, 0.95 * len(alphas) + 1.8), height=max(2.8, 0.5 * len(grid) + 1.2)
    )
    image = axes.imshow(means, cmap="cividis", aspect="auto")
    words = []
    for row, (batch_size, by_alpha) in enumerate(grid.items()):
        for column, alpha in enumerate(alphas):
            if alpha not in by_alpha:
                continue
            text = by_alpha[alpha].text
            dark = means[row, column] < (np.nanmin(means) + np.nanmax(means)) / 2
            axes.text(column, row, text, ha="center", va="center", size=8, color="white" if dark else "black")
            words.append(f"{text} with batches of {batch_size} and alpha {alpha:g}")
    axes.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    axes.set_yticks(range(len(grid)), [str(batch_size) for batch_size in grid])
    axes.set_xlabel("alpha")
    axes.set_ylabel("batch size")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="test accuracy, %")
    return ReportFigure(
        name="settings",
        title="Accuracy against batch size and alpha",
        caption=f"Test accuracy of {run} in percent when its test images are classified in batches of different sizes, "
        "with latents drawn at different alpha (0: the centre of the zone). In the paper, large batches and small "
        "alpha (lower right) are best, although training uses alpha = 1.",
        paper="Figure 25",
        alt="Heat map of test accuracies in percent: " + "; ".join(words) + ".",
        figure=figure,
    )
