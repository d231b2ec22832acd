"""Tables of image metrics: 1, 4, 5, 7 and 8."""

from collections.abc import Iterator, Mapping, Sequence

from stages.measuring.quantity import Quantity
from stages.reporting.results import Results
from stages.reporting.tables.names import (
    COLUMNS,
    DATA_SETS,
    MEASURED_AS,
    METHODS,
    ONLY_HERE,
    OTHER_DATA,
    WHY_NOT_HERE,
    data_title,
    our_rows_remark,
    own_column,
    own_distances,
    paper_cells,
)
from stages.reporting.tables.numbers import paper_numbers
from stages.reporting.tables.params import TablesParams
from stages.reporting.tables.table import Cell, Row, Source, Table

BASELINE = "rf"
"""The method that the others are to be better than."""

Methods = Mapping[str, Mapping[str, Sequence[float | None]]]


def image_tables(params: TablesParams, results: Results) -> Iterator[Table]:
    """Those that have runs."""
    if params.unconditional:
        for key, title in (
            ("table1_unconditional", "Table 1. Unconditional generation"),
            ("table5_fid_implementations_unconditional", "Table 5. Implementations of FID, unconditional"),
        ):
            numbers = dict(paper_numbers()[key])
            columns = numbers.pop("columns")
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
            numbers = dict(paper_numbers()[key])
            columns = numbers.pop("columns")
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
    """Our rows add a column for each distance that the paper does not have; both are by data set and method."""
    runs = [run for methods in ours.values() for run in methods.values()]
    own = {name: own_column(name) for run in runs for name in own_distances(results.measured(run))}
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
        _row(method, data, "ours", methods, _our_cells([*columns, *own], run, results))
        for data, methods in ours.items()
        for method, run in methods.items()
    ]
    all_columns = {name: COLUMNS[name] for name in columns} | own
    return Table(key.partition("_")[0], title, all_columns, rows, [our_rows_remark(results, runs)])


def _row(
    method: str, data: str, source: Source, methods: Mapping[str, object], cells: Mapping[str, Cell]
) -> Row:
    data = DATA_SETS.get(data, data)
    compared_to = f"{METHODS[BASELINE]}, {data}" if BASELINE in methods and method != BASELINE else None
    label = f"{METHODS[method]}, {data}"
    return Row(label, source, cells, group=f"{source} {data}", compared_to=compared_to)


def _our_cells(columns: Sequence[str], run: str, results: Results) -> dict[str, Cell]:
    measured = dict(results.measured(run))
    if "accuracy" in columns and results.classifies(run):
        measured["accuracy"] = results.accuracy(run)
    return {name: _our_cell(name, measured) for name in columns}


def _our_cell(column: str, measured: Mapping[str, Quantity]) -> Cell:
    name = MEASURED_AS.get(column, column)
    return Cell.of(measured[name]) if name in measured else Cell(None, WHY_NOT_HERE.get(column, OTHER_DATA))


def classification_table(runs: Mapping[str, str], results: Results) -> Table:
    """Table 3."""
    rows = [
        _accuracy_row(METHODS.get(name, name), "CIFAR10", "paper", Cell(value))
        for name, value in paper_numbers()["table3_cifar10_accuracy"].items()
    ]
    rows += [
        _accuracy_row(METHODS[method], data_title(results, run), "ours", Cell.of(results.accuracy(run)))
        for method, run in runs.items()
    ]
    remarks = [our_rows_remark(results, runs.values())]
    return Table("table3", "Table 3. Classification", {"accuracy": COLUMNS["accuracy"]}, rows, remarks)


def _accuracy_row(method: str, data: str, source: Source, cell: Cell) -> Row:
    compared_to = f"{METHODS['rf_lzn_no_gen']}, {data}" if method == METHODS["rf_lzn"] else None
    return Row(
        f"{method}, {data}", source, {"accuracy": cell}, group=f"{source} {data}", compared_to=compared_to
    )
