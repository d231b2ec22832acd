"""The report as one HTML file that needs no other file.

- `about`: what was run, by which code, where and how long; reads MLflow.
- `costs`: the table of costs, which `about` fills from MLflow.
- `sample_images`: grids of sampled images, and images as data URLs.
- `page`: the content of the page, and `render`, which fills the template ``templates/report.html.jinja``.

The stage ``report`` collects the content and calls `render`.
"""

from stages.reporting.page.page import Page, render

__all__ = ["Page", "render"]
