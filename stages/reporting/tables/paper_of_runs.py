"""The numbers of the paper for each run, to stand beside ours in MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stages.reporting.metrics import METRICS
from stages.reporting.tables.paper_numbers import paper_numbers, paper_table
from stages.reporting.tables.tables_params import TablesParams

MAIN_DATA = "cifar10"
"""The data set of the paper with which runs on a data set are compared that the paper does not have."""


def paper_of_runs(params: TablesParams) -> dict[str, dict[str, float]]:
    """Return the paper's numbers by run, then by ``paper/<metric>``; shares are fractions, as in our metrics."""
    found: dict[str, dict[str, float]] = {}
    for run, names, values in _rows(params):
        of_run = found.setdefault(run, {})
        for name, value in zip(names, values, strict=True):
            if value is not None:
                of_run.setdefault(f"paper/{name}", value / METRICS[name].factor)
    return found


def _rows(params: TablesParams) -> Iterator[tuple[str, Sequence[str], Sequence[Any]]]:
    """Yield runs with names and values of the paper; the first value of a name counts."""
    columns, of_data = paper_table("table1_unconditional")
    for data, runs in params.unconditional.items():
        yield from _of_methods(columns, of_data.get(data, of_data[MAIN_DATA]), runs)
    for table, runs in (
        ("table4_conditional_cifar10", params.conditional),
        ("table8_alignment_cutoff", params.cutoff),
    ):
        columns, of_method = paper_table(table)
        yield from _of_methods(columns, of_method, runs)
    accuracies = paper_numbers()["table3_cifar10_accuracy"]
    yield from _of_methods(
        ["accuracy"],
        {method: [accuracies[method]] for method in params.classification if method in accuracies},
        params.classification,
    )
    if params.linear_probe:
        columns, content = paper_table("table2_linear_probe_imagenet_resnet50")
        yield params.linear_probe, columns, content["rows"]["LZN"]["values"]


def _of_methods(
    columns: Sequence[str], of_method: Mapping[str, Sequence[Any]], runs: Mapping[str, str]
) -> Iterator[tuple[str, Sequence[str], Sequence[Any]]]:
    for method, run in runs.items():
        if method in of_method:
            yield run, columns, of_method[method]
