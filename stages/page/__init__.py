"""The report as one self-contained page."""

from stages.page.page import Page, render

__all__ = ["Page", "render"]
