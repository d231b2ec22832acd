"""The tables of the paper, of its figures and reviews, and of this project, with the paper's numbers and ours.

- `table`: a table of cells with a number or a reason why there is none; which numbers are best and better.
- `tables_params`: the section ``tables`` of params.yaml: which run stands for which method.
- `paper_numbers`: the numbers of the paper, from ``paper_numbers.yaml``.
- `names`: names of methods and data sets, and other texts that several tables share.
- `image_metrics` (tables 1, 4, 5, 7, 8), `classification` (3), `probes` (2, 6, t-SNE), `gap`, `figure_numbers`
  (Figures 17, 19, 20, 24, 25), `zone_stability`, `training`: one module for each kind of table.
- `all_tables`: calls all of them in the paper's order. `formats`: tables as Markdown, JSON and columns.
- `paper_of_runs`: the paper's numbers by run; `tracked_results` puts them, tables and claims into MLflow.
"""

from stages.reporting.tables.all_tables import fill_tables
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.tables_params import TablesParams

__all__ = ["TablesParams", "fill_tables", "paper_numbers"]
