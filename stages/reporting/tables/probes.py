"""Tables of linear probes (2, 6), and of t-SNE's clusters (the paper's reviews)."""

from collections.abc import Iterator, Mapping

from stages.measuring.quantity import NestedQuantities, Quantity, flatten_quantities
from stages.reporting.results import Results
from stages.reporting.tables.names import (
    COLUMNS,
    NO_TOP5,
    REPRESENTATIONS,
    data_title,
    our_rows_remark,
    paper_cells,
)
from stages.reporting.tables.numbers import paper_numbers
from stages.reporting.tables.table import Cell, Column, Row, Table

PROBE_COLUMNS = {name: COLUMNS[name] for name in ("top1", "top5")}
OWNERS = {"trained": "LZN, ", "untrained": "control: untrained encoder, ", "raw_pixels": "control: "}
TSNE_COLUMNS = {
    "mean_1": Column("Mean of dim 1"),
    "std_1": Column("Std of dim 1"),
    "mean_2": Column("Mean of dim 2"),
    "std_2": Column("Std of dim 2"),
}


def linear_probe_table(run: str, results: Results) -> Table:
    """Table 2, with the numbers of Figure 19 and the controls."""
    data = data_title(results, run)
    measured = results.of("probe", run)
    rows = _paper_rows()
    for owner, prefix in OWNERS.items():
        rows += [
            Row(
                f"{prefix}{REPRESENTATIONS[name]}, {data}",
                "ours",
                _cells(measured, owner, name),
                group=f"ours {data}",
                compared_to=f"{OWNERS['untrained']}{REPRESENTATIONS[name]}, {data}"
                if owner == "trained"
                else None,
            )
            for name in _names(measured, owner)
        ]
    remarks = [
        "The paper's rows: ImageNet, ResNet-50; § marks contrastive methods.",
        "LZN's representations are compared with those of its own encoder before training.",
        our_rows_remark(results, [run]),
    ]
    title = "Table 2. Linear classification on unsupervised representations"
    return Table("table2", title, PROBE_COLUMNS, rows, remarks)


def other_architectures_table(run: str, results: Results) -> Table:
    """Table 6."""
    data = data_title(results, run)
    rows = [
        Row(
            f"{name} ({entry['architecture']}), ImageNet",
            "paper",
            paper_cells(("top1", "top5"), entry["values"]),
            group="paper ImageNet",
        )
        for name, entry in paper_numbers()["table6_linear_probe_other_architectures"]["rows"].items()
    ]
    cells = _cells(results.of("probe", run), "trained", "without_head")
    rows += [*_paper_rows(), Row(f"LZN, without head, {data}", "ours", cells)]
    remarks = [
        "The paper's rows of table 2 (ResNet-50) are repeated here, as there.",
        our_rows_remark(results, [run]),
    ]
    return Table(
        "table6", "Table 6. Linear classification, other architectures", PROBE_COLUMNS, rows, remarks
    )


def tsne_table(run: str, results: Results) -> Table:
    """Means and deviations of each class's points, beside those of all points."""
    paper = paper_numbers()["tsne_imagenet"]
    of_paper = {**{f"class {name}": values for name, values in paper["classes"].items()}, "all": paper["all"]}
    rows = [
        Row(f"{name}, ImageNet", "paper", paper_cells(tuple(TSNE_COLUMNS), values))
        for name, values in of_paper.items()
    ]
    rows += [
        Row(f"{name}, {data_title(results, run)}", "ours", {key: Cell.of(found[key]) for key in TSNE_COLUMNS})
        for name, found in _clusters(results.of("tsne", run))
    ]
    remarks = [
        "Deviations of the classes that are small beside those of all points mean clusters. Axes of t-SNE have no "
        "meaning: each seed's plane is another, so that means over seeds of a class's place say little.",
        our_rows_remark(results, [run]),
    ]
    title = "Representations of each class in t-SNE's plane (the paper's reviews)"
    return Table("tsne", title, TSNE_COLUMNS, rows, remarks)


def _clusters(measured: NestedQuantities) -> Iterator[tuple[str, Mapping[str, Quantity]]]:
    classes = measured["classes"]
    assert not isinstance(classes, Quantity)
    for name, found in [*classes.items(), ("all", measured["all"])]:
        assert not isinstance(found, Quantity)
        yield name if name == "all" else f"class {name}", flatten_quantities(found)


def _paper_rows() -> list[Row]:
    return [
        Row(
            f"{name}{'§' if entry['contrastive'] else ''}, ImageNet",
            "paper",
            paper_cells(("top1", "top5"), entry["values"]),
            group="paper ImageNet",
        )
        for name, entry in paper_numbers()["table2_linear_probe_imagenet_resnet50"]["rows"].items()
    ]


def _names(measured: NestedQuantities, owner: str) -> list[str]:
    """Representations that were probed, in this project's order."""
    found = measured.get(owner, {})
    assert not isinstance(found, Quantity)
    return [name for name in REPRESENTATIONS if name in found]


def _cells(measured: NestedQuantities, owner: str, name: str) -> dict[str, Cell]:
    flat = flatten_quantities(measured)
    return {
        metric: Cell.of(flat[key].times(100))
        if (key := f"{owner}.{name}.{metric}") in flat
        else Cell(None, NO_TOP5)
        for metric in PROBE_COLUMNS
    }
