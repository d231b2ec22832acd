"""Numbers of runs by the paper's names of metrics, and gains between two runs.

For data whose images are not compared in the features of Inception and CLIP, distances in the features of the data
set's own classifier take the place of FID and CMMD.
"""

from collections.abc import Mapping

from stages.measuring.quantity import Quantity
from stages.reporting.metrics import FID_IMPLEMENTATIONS, METRICS, metric_of, own_distances
from stages.reporting.results import Results
from stages.reporting.sweeps import distances_by_steps
from stages.reporting.verdict import gain


def find(results: Results, run: str | None, name: str) -> Quantity | None:
    """Return a run's number of a metric of table 1, or the own distance in its place; None if there is neither."""
    measured = {} if run is None else results.flat("measure", run)
    key = _key(name, measured)
    return None if key is None else measured[key]


def unit(results: Results, run: str, name: str) -> str:
    """Return the name of the metric whose number `find` returns, for a note."""
    key, heading = _key(name, results.flat("measure", run)), METRICS[name].heading
    found = None if key is None else metric_of(key)
    return (
        heading
        if found is None or found.key == METRICS[name].key
        else f"{found.heading}, in place of {heading}"
    )


def gains_in_metrics(results: Results, baseline: str, ours: str) -> dict[str, Quantity]:
    """Return by how much ``ours`` is better in each metric that both runs have; one implementation of FID counts."""
    before, after = results.flat("measure", baseline), results.flat("measure", ours)
    gains = {}
    for key in before.keys() & after.keys():
        metric = metric_of(key)
        if metric is None or key in FID_IMPLEMENTATIONS[1:]:
            continue
        gained = gain(after[key], before[key], metric.better)
        if gained is not None:
            gains[key] = gained
    return gains


def gains_along_steps(results: Results, baseline: str, ours: str) -> Mapping[int, Quantity]:
    """Return by how much the distance of ``ours`` is lower, by number of Euler steps.

    The distance is the first that both runs have.
    """
    before, after = distances_by_steps(baseline, results), distances_by_steps(ours, results)
    for name in (name for name in before if name in after):
        gained = {
            num: gain(after[name][num], before[name][num], "lower")
            for num in before[name]
            if num in after[name]
        }
        return {num: value for num, value in gained.items() if value is not None}
    return {}


def _key(name: str, measured: Mapping[str, Quantity]) -> str | None:
    """Return the key of a metric or, if it was not measured, of the own distance in its place."""
    metric = METRICS[name]
    if metric.key in measured:
        return metric.key
    if metric.substitute is None:
        return None
    return next((key for key in own_distances(measured) if key.startswith(metric.substitute)), None)
