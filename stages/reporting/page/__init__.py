"""The report as one self-contained page."""

from stages.reporting.page.page import Page, render

__all__ = ["Page", "render"]
