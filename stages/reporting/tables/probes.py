"""Tables of linear probes (2, 6, Figure 19) and of the classes in the t-SNE plane (the paper's reviews)."""

from collections.abc import Iterator, Mapping
from typing import Any

from stages.measuring.quantity import Quantity, flatten_quantities
from stages.reporting.metrics import METRICS, NOT_RUN_YET
from stages.reporting.results import Results
from stages.reporting.tables.names import (
    REPRESENTATIONS,
    data_title,
    not_run_yet,
    our_rows_remark,
    paper_cells,
)
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.table import Cell, Column, Row, Table

PROBE_METRICS = {name: METRICS[name] for name in ("top1", "top5")}
PROBE_COLUMNS = {name: Column.of(metric) for name, metric in PROBE_METRICS.items()}
ENCODERS = {"trained": "LZN, ", "untrained": "control: untrained encoder, ", "raw_pixels": "control: "}
TSNE_COLUMNS = {
    "mean_1": Column("Mean of dim 1"),
    "std_1": Column("Std of dim 1"),
    "mean_2": Column("Mean of dim 2"),
    "std_2": Column("Std of dim 2"),
}


def linear_probe_table(run: str, results: Results) -> Table:
    """Return table 2 with the paper's other trainings, all representations and the control experiments."""
    trainings = paper_numbers()["table2_linear_probe_imagenet_resnet50"]["other_trainings_of_lzn"]
    rows = [
        *_paper_rows(),
        *(_paper_row(f"LZN (reviews: {name})", {"values": values}) for name, values in trainings.items()),
        *_our_rows(run, results),
    ]
    remarks = [
        "The paper's rows: ImageNet, ResNet-50; § marks contrastive methods.",
        "The baseline of each representation is the same encoder before training.",
        our_rows_remark(results, [run]),
    ]
    title = "Table 2. Linear classification on unsupervised representations"
    return Table("table2", title, PROBE_COLUMNS, rows, remarks)


def figure19_table(run: str, results: Results) -> Table:
    """Return the numbers of Figure 19, in which the paper prints none."""
    remarks = [
        "The baseline of each representation is the same encoder before training.",
        our_rows_remark(results, [run]),
    ]
    title = "Figure 19. Linear classification on each representation"
    return Table("figure19", title, PROBE_COLUMNS, _our_rows(run, results), remarks)


def other_architectures_table(run: str, results: Results) -> Table:
    """Return table 6."""
    methods = paper_numbers()["table6_linear_probe_other_architectures"]["rows"]
    rows = [
        *(_paper_row(name, entry) for name, entry in methods.items()),
        *_paper_rows(),
        Row(
            f"LZN, without head, {data_title(results, run)}",
            "ours",
            _cells(run, results, "trained", "without_head"),
        ),
    ]
    remarks = [
        "The rows of table 2 (ResNet-50) are repeated here, as in the paper; § marks contrastive methods.",
        our_rows_remark(results, [run]),
    ]
    title = "Table 6. Linear classification, other architectures"
    return Table("table6", title, PROBE_COLUMNS, rows, remarks)


def tsne_table(run: str, results: Results) -> Table:
    """Return the table of means and standard deviations of the points of each class, and of all points."""
    paper = paper_numbers()["tsne_imagenet"]
    of_paper = {**{f"class {name}": values for name, values in paper["classes"].items()}, "all": paper["all"]}
    rows = [
        Row(f"{name}, ImageNet", "paper", paper_cells(tuple(TSNE_COLUMNS), values))
        for name, values in of_paper.items()
    ]
    rows += [
        Row(f"{name}, {data_title(results, run)}", "ours", {key: Cell.of(found[key]) for key in TSNE_COLUMNS})
        for name, found in _clusters(run, results)
    ]
    if not results.has("tsne", run):
        rows.append(Row(f"all, {data_title(results, run)}", "ours", not_run_yet(TSNE_COLUMNS)))
    remarks = [
        "Classes are clusters if their deviations are small compared with those of all points. The axes of t-SNE have "
        "no meaning and differ between seeds, so the mean of a class over seeds has no meaning either.",
        our_rows_remark(results, [run]),
    ]
    title = "Representations of each class in the t-SNE plane (the paper's reviews)"
    return Table("tsne", title, TSNE_COLUMNS, rows, remarks)


def _clusters(run: str, results: Results) -> Iterator[tuple[str, Mapping[str, Quantity]]]:
    measured = results.nested("tsne", run)
    if not measured:
        return
    classes = measured["classes"]
    assert not isinstance(classes, Quantity)
    for name, found in [*classes.items(), ("all", measured["all"])]:
        assert not isinstance(found, Quantity)
        shown = name if name == "all" else f"class {results.class_name(run, name)}"
        yield shown, flatten_quantities(found)


def _our_rows(run: str, results: Results) -> list[Row]:
    """Return a row for each representation of the trained and the untrained encoder, and for raw pixels."""
    data = data_title(results, run)
    if not results.has("probe", run):
        return [Row(f"LZN, {data}", "ours", not_run_yet(PROBE_COLUMNS))]
    return [
        Row(
            f"{prefix}{REPRESENTATIONS[name]}, {data}",
            "ours",
            _cells(run, results, encoder, name),
            group=f"ours {data}",
            compared_to=f"{ENCODERS['untrained']}{REPRESENTATIONS[name]}, {data}"
            if encoder == "trained"
            else None,
        )
        for encoder, prefix in ENCODERS.items()
        for name in _probed(run, results, encoder)
    ]


def _paper_rows() -> list[Row]:
    methods = paper_numbers()["table2_linear_probe_imagenet_resnet50"]["rows"]
    return [_paper_row(name, entry) for name, entry in methods.items()]


def _paper_row(method: str, entry: Mapping[str, Any]) -> Row:
    cells = paper_cells(tuple(PROBE_METRICS), entry["values"])
    mark = "§" if entry.get("contrastive") else ""
    architecture = f" ({entry['architecture']})" if "architecture" in entry else ""
    return Row(f"{method}{mark}{architecture}, ImageNet", "paper", cells, group="paper ImageNet")


def _probed(run: str, results: Results, encoder: str) -> list[str]:
    """Return the representations of ``encoder`` that were probed, in the order of `REPRESENTATIONS`."""
    found = results.nested("probe", run).get(encoder, {})
    assert not isinstance(found, Quantity)
    return [name for name in REPRESENTATIONS if name in found]


def _cells(run: str, results: Results, encoder: str, representation: str) -> dict[str, Cell]:
    found = results.flat("probe", run)
    return {
        name: Cell.of(metric.shown(found[key]))
        if (key := f"{encoder}.{representation}.{metric.key}") in found
        else Cell(None, metric.missing if results.has("probe", run) else NOT_RUN_YET)
        for name, metric in PROBE_METRICS.items()
    }
