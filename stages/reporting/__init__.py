"""From the numbers of the stages to tables, claims, figures and the report page.

Read in this order:

- `results`: reads the numbers, configurations and training curves of runs; each file once.
- `sweeps`: numbers that were measured at several settings, such as numbers of Euler steps.
- `metrics`: the table of metrics: name in files, name shown, which numbers are better, unit.
- `verdict`: the rule that decides whether a claim holds.
- `tables`: the tables of the paper with the paper's numbers and ours; also the paper's numbers themselves.
- `claims`: the claims of the paper, each with its evidence and verdict.
- `figures`: the figures.
- `page`: the HTML page.

The stage ``tables`` calls `tables` and `claims` and writes JSON and Markdown. The stage ``report`` calls `figures` and
`page`, which reads these JSON files.
"""
