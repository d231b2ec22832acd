"""Numbers of runs by what the paper calls them, with this size's substitutes for metrics of natural images."""

from collections.abc import Mapping

from stages.measuring.quantity import Quantity
from stages.reporting.results import Results
from stages.reporting.sweeps import distances_by_steps
from stages.reporting.tables.names import COLUMNS, MEASURED_AS, own_column, own_distances
from stages.reporting.tables.table import Column
from stages.reporting.verdict import Better, gain

SUBSTITUTES = {"fid": "fd_", "cmmd": "mmd_"}
"""Distances in the features of a data set's own classifier that stand for those in Inception's and CLIP's."""


def find(results: Results, run: str | None, metric: str) -> Quantity | None:
    """A metric of table 1 that ``measure`` found of a run, or its substitute."""
    measured = {} if run is None else results.measured(run)
    found = measured.get(MEASURED_AS.get(metric, metric))
    prefix = SUBSTITUTES.get(metric)
    if found is None and prefix is not None:
        found = next((measured[name] for name in own_distances(measured) if name.startswith(prefix)), None)
    return found


def unit(results: Results, run: str, metric: str) -> str:
    """What ``find`` measures in, for a note."""
    measured = results.measured(run)
    prefix = SUBSTITUTES.get(metric)
    if MEASURED_AS.get(metric, metric) in measured or prefix is None:
        return COLUMNS[metric].heading
    names = [name for name in own_distances(measured) if name.startswith(prefix)]
    return (
        f"{own_column(names[0]).heading}, in place of {COLUMNS[metric].heading}"
        if names
        else COLUMNS[metric].heading
    )


def gains_in_metrics(results: Results, baseline: str, ours: str) -> dict[str, Quantity]:
    """Of every metric that both runs have, by how much ``ours`` is better."""
    before, after = results.measured(baseline), results.measured(ours)
    found = {}
    for name in before.keys() & after.keys():
        better = _better(name)
        gained = None if better is None else gain(after[name], before[name], better)
        if gained is not None:
            found[name] = gained
    return found


def gains_along_steps(results: Results, baseline: str, ours: str) -> Mapping[int, Quantity]:
    """By how much the distance of ``ours`` is lower, by number of Euler steps; of the first distance both have."""
    before, after = distances_by_steps(baseline, results), distances_by_steps(ours, results)
    for name in (name for name in before if name in after):
        gained = {
            num: gain(after[name][num], before[name][num], "lower")
            for num in before[name]
            if num in after[name]
        }
        return {num: value for num, value in gained.items() if value is not None}
    return {}


def _better(name: str) -> Better | None:
    named = {measured: column for column, measured in MEASURED_AS.items()}
    columns: Mapping[str, Column] = COLUMNS
    if name.startswith(("fd_", "mmd_")):
        return "lower"
    column = columns.get(named.get(name, name))
    # One implementation of FID counts: the others are the same metric.
    return None if column is None or name in ("fid_rf", "fid_clean") else column.better
