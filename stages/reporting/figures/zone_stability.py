"""How many latents stay in their zones, by run."""

from collections.abc import Iterable

from stages.reporting.figures.style import BASELINE, LOOKS, LZN, ReportFigure, panels
from stages.reporting.results import Results

KINDS = {
    "redrawn_batch": ("rest of the batch redrawn", LZN),
    "same_batch": ("same batch", BASELINE),
    "bank": ("bank", LOOKS[3]),
}


def zone_stability_figure(
    runs: Iterable[str], results: Results, *, paper_percent: float
) -> ReportFigure | None:
    """Draw one row of points for each run, and the paper's percentage as a line."""
    measured = {run: results.flat("zones", run) for run in runs if results.has("zones", run)}
    if not measured:
        return None
    figure, (axes,) = panels(1, width=6.0, height=1.4 + 0.42 * len(measured))
    words = []
    for shift, (kind, (label, look)) in zip((0.18, 0.0, -0.18), KINDS.items(), strict=True):
        found = {run: values[f"{kind}.share"].times(100) for run, values in measured.items()}
        axes.errorbar(
            [one.mean for one in found.values()],
            [place + shift for place in range(len(found))],
            xerr=[one.std or 0.0 for one in found.values()],
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            markersize=5,
            capsize=2,
            label=label,
        )
        words += [f"{run} {label} {one.text}" for run, one in found.items()]
    axes.axvline(
        paper_percent,
        color=LOOKS[1].colour,
        linestyle=BASELINE.line,
        linewidth=1.2,
        label=f"paper {paper_percent:g} %",
    )
    axes.set_yticks(range(len(measured)), list(measured))
    axes.set_ylim(len(measured) - 0.5, -0.5)
    axes.set_xlim(0, 104)
    axes.set_xlabel("latents that stay in the zone of their sample, %")
    axes.grid(visible=True, axis="x")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    return ReportFigure(
        name="stability",
        title="Latents that stay in their zones",
        caption="A latent is drawn from the zone of its sample in a batch. It stays if it lies in the zone of this "
        "sample in a batch that shares only this sample, or in the same batch; or among all training images (bank). "
        "Bars: standard deviation over seeds.",
        paper="reviews: 49 %",
        alt="Chart of percentages: " + "; ".join(words) + ".",
        figure=figure,
    )
