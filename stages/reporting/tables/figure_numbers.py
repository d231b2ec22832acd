"""The numbers of Figures 17, 19, 20, 24 and 25 as tables; the paper prints no numbers in these figures."""

from collections.abc import Iterator, Mapping

from stages.reporting.metrics import NOT_MEASURED, NOT_RUN_YET, distance_metric
from stages.reporting.results import Results
from stages.reporting.sweeps import accuracies_along_training, accuracies_by_setting, distances_by_steps
from stages.reporting.tables.names import METHODS, data_title, our_rows_remark, recipe_remarks
from stages.reporting.tables.probes import figure19_table
from stages.reporting.tables.table import Cell, Column, Row, Table
from stages.reporting.tables.tables_params import TablesParams


def figure_tables(params: TablesParams, results: Results) -> Iterator[Table]:
    """Yield the tables of which a run is measured."""
    unconditional = {run: method for runs in params.unconditional.values() for method, run in runs.items()}
    conditional = {run: method for method, run in params.conditional.items()}
    for name, kind, methods in (
        ("figure17", "unconditional", unconditional),
        ("figure24", "conditional", conditional),
    ):
        if any(results.has("steps", run) for run in methods):
            yield _steps_table(name, kind, methods, results)
    run = params.representations
    if run is not None and results.has("probe", run):
        yield figure19_table(run, results)
    run = params.linear_probe
    if run is not None and "along_training" in results.nested("probe", run):
        yield _along_training_table(run, results)
    run = params.classification.get("rf_lzn")
    if run is not None and results.has("settings", run):
        yield _settings_table(run, results)


def _steps_table(name: str, kind: str, methods: Mapping[str, str], results: Results) -> Table:
    """Return the table of distances by number of Euler steps; ``methods`` are by run."""
    found = {run: distances_by_steps(run, results) for run in methods}
    steps = sorted(
        {num for by_distance in found.values() for by_steps in by_distance.values() for num in by_steps}
    )
    distances = dict.fromkeys(name for by_distance in found.values() for name in by_distance)
    rows = []
    for run, method in methods.items():
        data = data_title(results, run)
        missing = NOT_MEASURED if results.has("steps", run) else NOT_RUN_YET
        names = found[run] if results.has("steps", run) else distances
        for distance in names:
            by_steps = found[run].get(distance, {})
            suffix = f"{distance_metric(distance).heading}, {data}"
            compared_to = f"{METHODS['rf']}, {suffix}" if method != "rf" else None
            cells = {
                str(num): Cell.of(by_steps[num]) if num in by_steps else Cell(None, missing) for num in steps
            }
            rows.append(Row(f"{METHODS[method]}, {suffix}", "ours", cells, suffix, compared_to))
    columns = {str(num): Column(f"{num} steps", "lower") for num in steps}
    title = f"{name.replace('figure', 'Figure ')}. Distance against Euler steps, {kind}"
    remarks = [our_rows_remark(results, methods), *recipe_remarks(results, "steps", methods, distances)]
    return Table(name, title, columns, rows, remarks)


def _along_training_table(run: str, results: Results) -> Table:
    cells = {str(step): Cell.of(top1) for step, top1 in accuracies_along_training(run, results).items()}
    columns = {step: Column(f"step {step}", "higher") for step in cells}
    row = Row(f"LZN, without head, {data_title(results, run)}", "ours", cells)
    title = "Figure 20. Top-1 % of the linear probe along training"
    return Table("figure20", title, columns, [row], [our_rows_remark(results, [run])])


def _settings_table(run: str, results: Results) -> Table:
    found = accuracies_by_setting(run, results)
    alphas = sorted({alpha for by_alpha in found.values() for alpha in by_alpha})
    rows = [
        Row(
            f"batch size {batch_size}",
            "ours",
            {str(a): Cell.of(by_alpha[a]) if a in by_alpha else Cell(None, NOT_MEASURED) for a in alphas},
        )
        for batch_size, by_alpha in found.items()
    ]
    columns = {str(alpha): Column(f"alpha = {alpha:g}", "higher") for alpha in alphas}
    title = "Figure 25. Accuracy % against batch size and alpha when classifying"
    return Table("figure25", title, columns, rows, [our_rows_remark(results, [run])])
