"""The report's figures, one module a kind, in one house style."""

from stages.reporting.figures.all_figures import draw_figures
from stages.reporting.figures.style import STYLE, ReportFigure

__all__ = ["STYLE", "ReportFigure", "draw_figures"]
