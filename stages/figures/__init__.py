"""The report's figures, one module a kind, in one house style."""

from stages.figures.all_figures import draw_figures
from stages.figures.style import STYLE, Drawing

__all__ = ["STYLE", "Drawing", "draw_figures"]
