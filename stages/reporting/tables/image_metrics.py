"""Tables of image metrics: 1, 4, 5, 7 and 8."""

from collections.abc import Iterator, Mapping, Sequence

from stages.reporting.metrics import METRICS, Metric, distance_metric, own_distances
from stages.reporting.results import Results
from stages.reporting.tables.names import DATA_SETS, METHODS, ONLY_HERE, our_rows_remark, paper_cells
from stages.reporting.tables.paper_numbers import paper_table
from stages.reporting.tables.table import Cell, Column, Row, Source, Table
from stages.reporting.tables.tables_params import TablesParams

BASELINE = "rf"
"""The method that the other methods are compared with."""

Methods = Mapping[str, Mapping[str, Sequence[float | None]]]


def image_tables(params: TablesParams, results: Results) -> Iterator[Table]:
    """Yield the tables that have runs."""
    if params.unconditional:
        for key, title in (
            ("table1_unconditional", "Table 1. Unconditional generation"),
            ("table5_fid_implementations_unconditional", "Table 5. Implementations of FID, unconditional"),
        ):
            columns, numbers = paper_table(key)
            yield _table(
                key, title, columns=columns, of_paper=numbers, ours=params.unconditional, results=results
            )
    for key, title, runs in (
        ("table4_conditional_cifar10", "Table 4. Conditional generation", params.conditional),
        (
            "table7_fid_implementations_conditional",
            "Table 7. Implementations of FID, conditional",
            params.conditional,
        ),
        ("table8_alignment_cutoff", "Table 8. Early steps left out (u)", params.cutoff),
    ):
        if runs:
            columns, numbers = paper_table(key)
            data = results.data_of(next(iter(runs.values())))
            yield _table(
                key, title, columns=columns, of_paper={"cifar10": numbers}, ours={data: runs}, results=results
            )


def _table(
    key: str,
    title: str,
    *,
    columns: Sequence[str],
    of_paper: Methods,
    ours: Mapping[str, Mapping[str, str]],
    results: Results,
) -> Table:
    """Return a table with a column for each metric of the paper and each own distance of our runs.

    The paper's numbers and our runs are by data set, then by method.
    """
    runs = [run for methods in ours.values() for run in methods.values()]
    own = {
        name: distance_metric(name)
        for run in runs
        for name in own_distances([*results.flat("measure", run), *results.not_measured("measure", run)])
    }
    metrics = {name: METRICS[name] for name in columns} | own
    rows = [
        _row(
            method,
            data,
            "paper",
            methods,
            paper_cells(columns, values) | dict.fromkeys(own, Cell(None, ONLY_HERE)),
        )
        for data, methods in of_paper.items()
        for method, values in methods.items()
    ]
    rows += [
        _row(method, data, "ours", methods, _our_cells(metrics, run, results))
        for data, methods in ours.items()
        for method, run in methods.items()
    ]
    all_columns = {name: Column.of(metric) for name, metric in metrics.items()}
    return Table(key.partition("_")[0], title, all_columns, rows, [our_rows_remark(results, runs)])


def _row(
    method: str, data: str, source: Source, methods: Mapping[str, object], cells: Mapping[str, Cell]
) -> Row:
    data = DATA_SETS.get(data, data)
    compared_to = f"{METHODS[BASELINE]}, {data}" if BASELINE in methods and method != BASELINE else None
    label = f"{METHODS[method]}, {data}"
    return Row(label, source, cells, group=f"{source} {data}", compared_to=compared_to)


def _our_cells(metrics: Mapping[str, Metric], run: str, results: Results) -> dict[str, Cell]:
    measured = {**results.flat("measure", run), **results.flat("classify", run)}
    reasons = results.not_measured("measure", run)
    return {
        name: Cell.of(metric.shown(measured[metric.key]))
        if metric.key in measured
        else Cell(None, reasons.get(metric.key, metric.missing))
        for name, metric in metrics.items()
    }
