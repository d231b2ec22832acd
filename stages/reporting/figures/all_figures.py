"""All figures of a size."""

from collections.abc import Mapping

import matplotlib as mpl

from stages.reporting.figures.along_training import along_training_figure
from stages.reporting.figures.classification_settings import settings_figure
from stages.reporting.figures.distance_by_steps import steps_figure
from stages.reporting.figures.overview import overview_figure
from stages.reporting.figures.representations import representations_figure
from stages.reporting.figures.style import STYLE, ReportFigure
from stages.reporting.figures.training_curves import training_curve_figures
from stages.reporting.figures.tsne import tsne_figure
from stages.reporting.figures.zone_stability import zone_stability_figure
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, paper_numbers


def draw_figures(
    params: TablesParams, families: Mapping[str, Mapping[str, str]], results: Results, *, picture: str | None
) -> list[ReportFigure]:
    """Return the figures whose stages have run, in the paper's order; ``picture`` is the run of the first."""
    runs = {run: data for family in families.values() for run, data in family.items()}
    share = paper_numbers()["claims"]["latents_that_stay_in_their_zone_when_the_batch_is_redrawn"]
    conditional = {results.data_of(run): params.conditional for run in params.conditional.values()}
    probed, four, joint = params.linear_probe, params.representations, params.classification.get("rf_lzn")
    with mpl.rc_context(STYLE):
        found = [
            overview_figure(picture, results),
            *training_curve_figures(runs, results),
            steps_figure("figure17", "unconditional", "Figure 17", params.unconditional, results),
            steps_figure("figure24", "conditional", "Figure 24", conditional, results),
            None if probed is None else tsne_figure(probed, results),
            None if four is None else representations_figure(four, results),
            None if probed is None else along_training_figure(probed, results),
            None if joint is None else settings_figure(joint, results),
            zone_stability_figure(families.get("encoding", {}), results, paper_percent=100 * share),
        ]
    return [figure for figure in found if figure is not None]
