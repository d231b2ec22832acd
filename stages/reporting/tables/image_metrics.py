"""Tables of image metrics: 1, 4, 5, 7 and 8, and unconditional generation with the joint model."""

from collections.abc import Iterator, Mapping, Sequence

from stages.reporting.metrics import METRICS, NOT_RUN_YET, Metric, distance_metric, own_distances
from stages.reporting.results import Results
from stages.reporting.tables.names import (
    DATA_SETS,
    METHODS,
    ONLY_HERE,
    our_rows_remark,
    paper_cells,
    recipe_remarks,
)
from stages.reporting.tables.paper_numbers import paper_table
from stages.reporting.tables.table import Cell, Column, Row, Source, Table
from stages.reporting.tables.tables_params import TablesParams

BASELINE = "rf"
"""The method that the other methods are compared with."""

WITHOUT_LABELS = "RF+LZN, trained without labels"
DECODED = "RF+LZN, joint, class decoded"
GIVEN = "RF+LZN, joint, class given"

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
    own = _own_metrics(runs, results)
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
    remarks = [our_rows_remark(results, runs), *_recipes(metrics, runs, results)]
    return Table(key.partition("_")[0], title, all_columns, rows, remarks)


def _recipes(metrics: Mapping[str, Metric], runs: Sequence[str], results: Results) -> list[str]:
    return recipe_remarks(results, "measure", runs, [metric.key for metric in metrics.values()])


def joint_table(params: TablesParams, results: Results) -> Table | None:
    """Return the table of unconditional images of the joint model; None if params.yaml names no joint model.

    The paper describes this generation (section 5, Figure 21) and gives no numbers of it.
    """
    joint = params.conditional.get("rf_lzn")
    if joint is None:
        return None
    data = results.data_of(joint)
    alone = params.unconditional.get(data, {}).get("rf_lzn")
    names, unconditional = paper_table("table1_unconditional")
    _, conditional = paper_table("table4_conditional_cifar10")
    runs = [joint] if alone is None else [alone, joint]
    own = _own_metrics(runs, results)
    metrics = {name: METRICS[name] for name in names if name != "recon"} | own
    rows = []
    for label, values in (
        (WITHOUT_LABELS, unconditional["cifar10"]["rf_lzn"]),
        (DECODED, [None] * len(names)),
        (GIVEN, conditional["rf_lzn"]),
    ):
        cells = paper_cells(names, values) | dict.fromkeys(own, Cell(None, ONLY_HERE))
        rows.append(_joint_row(label, "cifar10", "paper", {name: cells[name] for name in metrics}))
    for label, run, prefix in (
        (WITHOUT_LABELS, alone, ""),
        (DECODED, joint, "unconditional."),
        (GIVEN, joint, ""),
    ):
        if run is not None:
            rows.append(_joint_row(label, data, "ours", _our_cells(metrics, run, results, prefix=prefix)))
    columns = {name: Column.of(metric) for name, metric in metrics.items()}
    title = "Unconditional generation with the joint model (no numbers in the paper)"
    remarks = [
        "Class decoded: the latent is drawn from the prior, and the class of the decoder is that of its zone.",
        our_rows_remark(results, runs),
        *_recipes(metrics, runs, results),
    ]
    return Table("joint_unconditional", title, columns, rows, remarks)


def _joint_row(label: str, data: str, source: Source, cells: Mapping[str, Cell]) -> Row:
    data = DATA_SETS.get(data, data)
    compared_to = None if label == WITHOUT_LABELS else f"{WITHOUT_LABELS}, {data}"
    return Row(f"{label}, {data}", source, cells, group=f"{source} {data}", compared_to=compared_to)


def _own_metrics(runs: Sequence[str], results: Results) -> dict[str, Metric]:
    """Return the own distances of the runs."""
    return {
        name: distance_metric(name)
        for run in runs
        for name in own_distances([*results.flat("measure", run), *results.not_measured("measure", run)])
    }


def _row(
    method: str, data: str, source: Source, methods: Mapping[str, object], cells: Mapping[str, Cell]
) -> Row:
    data = DATA_SETS.get(data, data)
    compared_to = f"{METHODS[BASELINE]}, {data}" if BASELINE in methods and method != BASELINE else None
    label = f"{METHODS[method]}, {data}"
    return Row(label, source, cells, group=f"{source} {data}", compared_to=compared_to)


def _our_cells(
    metrics: Mapping[str, Metric], run: str, results: Results, *, prefix: str = ""
) -> dict[str, Cell]:
    """Return the cells of a run; ``prefix`` is how the names of the numbers begin."""
    measured = {**results.flat("measure", run), **results.flat("classify", run)}
    reasons = results.not_measured("measure", run)
    return {
        name: Cell.of(metric.shown(measured[key]))
        if (key := f"{prefix}{metric.key}") in measured
        else Cell(None, reasons.get(key, _why_missing(metric, run, results)))
        for name, metric in metrics.items()
    }


def _why_missing(metric: Metric, run: str, results: Results) -> str:
    stage = "classify" if metric.key == "accuracy" else "measure"
    return NOT_RUN_YET if results.waits_for(stage, run) else metric.missing
