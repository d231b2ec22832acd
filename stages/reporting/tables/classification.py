"""Table 3: test accuracies."""

from collections.abc import Mapping

from stages.reporting.metrics import METRICS, NOT_RUN_YET
from stages.reporting.results import Results
from stages.reporting.tables.names import METHODS, data_title, our_rows_remark
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.table import Cell, Column, Row, Source, Table


def classification_table(runs: Mapping[str, str], results: Results) -> Table:
    """Return the table; ``runs`` are by method."""
    rows = [
        _row(METHODS.get(name, name), "CIFAR10", "paper", Cell(value))
        for name, value in paper_numbers()["table3_cifar10_accuracy"].items()
    ]
    rows += [
        _row(METHODS[method], data_title(results, run), "ours", _cell(run, results))
        for method, run in runs.items()
    ]
    remarks = [our_rows_remark(results, runs.values())]
    columns = {"accuracy": Column.of(METRICS["accuracy"])}
    return Table("table3", "Table 3. Classification", columns, rows, remarks)


def _cell(run: str, results: Results) -> Cell:
    return Cell.of(results.accuracy(run)) if results.has("classify", run) else Cell(None, NOT_RUN_YET)


def _row(method: str, data: str, source: Source, cell: Cell) -> Row:
    compared_to = f"{METHODS['rf_lzn_no_gen']}, {data}" if method == METHODS["rf_lzn"] else None
    return Row(
        f"{method}, {data}", source, {"accuracy": cell}, group=f"{source} {data}", compared_to=compared_to
    )
