"""All figures of a size."""

from collections.abc import Mapping

import matplotlib as mpl

from stages.reporting.figures.along_training import along_training_figure
from stages.reporting.figures.curves import curve_figures
from stages.reporting.figures.overview import overview_figure
from stages.reporting.figures.representations import representations_figure
from stages.reporting.figures.settings import settings_figure
from stages.reporting.figures.stability import stability_figure
from stages.reporting.figures.steps import steps_figure
from stages.reporting.figures.style import STYLE, ReportFigure
from stages.reporting.figures.tsne import tsne_figure
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, paper_numbers


def draw_figures(
    params: TablesParams, families: Mapping[str, Mapping[str, str]], results: Results, *, picture: str | None
) -> list[ReportFigure]:
    """Those whose stages have run, in the paper's order."""
    runs = {run: data for family in families.values() for run, data in family.items()}
    share = paper_numbers()["claims"]["latents_that_stay_in_their_zone_when_the_batch_is_redrawn"]
    conditional = {results.data_of(run): params.conditional for run in params.conditional.values()}
    representing, four, joint = (
        params.linear_probe,
        params.representations,
        params.classification.get("rf_lzn"),
    )
    with mpl.rc_context(STYLE):
        found = [
            overview_figure(picture, results),
            *curve_figures(runs, results),
            steps_figure("figure17", "unconditional", "Figure 17", params.unconditional, results),
            steps_figure("figure24", "conditional", "Figure 24", conditional, results),
            None if representing is None else tsne_figure(representing, results),
            None if four is None else representations_figure(four, results),
            None if representing is None else along_training_figure(representing, results),
            None if joint is None else settings_figure(joint, results),
            stability_figure(families.get("encoding", {}), results, paper_percent=100 * share),
        ]
    return [drawing for drawing in found if drawing is not None]
