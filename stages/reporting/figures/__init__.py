"""The figures of the report.

- `style`: colours, markers and sizes of all figures; `ReportFigure` is a figure with its title and texts.
- `overview`, `training_curves`, `distance_by_steps` (Figures 17, 24), `tsne` (18), `representations` (19),
  `along_training` (20), `classification_settings` (25), `zone_stability`: one module for each kind of figure.
- `all_figures`: calls all of them in the paper's order. The stage ``report`` calls it and saves the files.

A function that draws a figure returns None if the stage that measures its numbers has not run.
"""

from stages.reporting.figures.all_figures import draw_figures
from stages.reporting.figures.style import STYLE, ReportFigure

__all__ = ["STYLE", "ReportFigure", "draw_figures"]
