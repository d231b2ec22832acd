"""All figures of a size."""

from collections.abc import Mapping

import matplotlib as mpl

from stages.figures.along_training import along_training_figure
from stages.figures.curves import curve_figures
from stages.figures.overview import overview_figure
from stages.figures.representations import representations_figure
from stages.figures.settings import settings_figure
from stages.figures.stability import stability_figure
from stages.figures.steps import steps_figure
from stages.figures.style import STYLE, Drawing
from stages.figures.tsne import tsne_figure
from stages.paper_tables import TablesParams, paper_numbers
from stages.results import Results


def draw_figures(
    params: TablesParams, families: Mapping[str, Mapping[str, str]], results: Results, *, picture: str | None
) -> list[Drawing]:
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
