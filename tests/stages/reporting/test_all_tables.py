"""The tables with the paper's numbers and ours, from made-up outputs."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs

from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, fill_tables
from stages.reporting.tables.table import Relation, Row, Table

PARAMS = TablesParams.model_validate(TABLES)


def tables_of(outputs: MadeUpOutputs) -> Mapping[str, Table]:
    families = outputs.params["families"]
    return {table.name: table for table in fill_tables(PARAMS, families, Results(outputs.paths))}


def row_of(table: Table, label: str, source: str = "ours") -> Row:
    (found,) = (row for row in table.rows if row.label == label and row.source == source)
    return found


def test_all_tables_are_filled_with_those_of_the_paper_first(folder: Path) -> None:
    tables = tables_of(MadeUpOutputs(folder))
    paper = [f"table{number}" for number in range(1, 9)]
    assert list(tables) == [
        *paper,
        "gap",
        "joint_unconditional",
        "figure17",
        "figure24",
        "figure19",
        "figure20",
        "figure25",
        "tsne",
        "zones",
        "training",
    ]


def test_a_cell_has_the_mean_and_standard_deviation_over_seeds(folder: Path) -> None:
    cell = row_of(tables_of(MadeUpOutputs(folder))["table1"], "RF, digits").cells["fd_digits"]
    assert cell.value == pytest.approx((12.0 + 12.0 * 1.02) / 2)
    assert cell.std == pytest.approx(12.0 * 0.02 / 2**0.5)  # of two values: their difference / sqrt(2)
    assert cell.num_seeds == 2


def test_one_seed_gives_no_deviation_and_the_remark_names_it(folder: Path) -> None:
    tables = tables_of(MadeUpOutputs(folder, seeds=[0]))
    table = tables["table1"]
    assert row_of(table, "RF, digits").cells["fd_digits"].std is None
    assert "digits, one seed." in table.remarks[0]
    assert table.relation(row_of(table, "RF+LZN, digits"), "fd_digits") is Relation.BETTER


def test_tables_of_figures_are_left_out_if_their_stages_have_not_run(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    full = set(tables_of(outputs))
    for stage in ("steps", "settings", "probe"):
        outputs.remove(stage)
    assert full - set(tables_of(outputs)) == {f"figure{number}" for number in (17, 19, 20, 24, 25)}


def test_the_tsne_table_has_the_paper_s_classes_and_ours(folder: Path) -> None:
    table = tables_of(MadeUpOutputs(folder))["tsne"]
    assert sum(row.source == "paper" for row in table.rows) == 21  # 20 classes and the row of all points
    cells = row_of(table, "class 993, ImageNet", "paper").cells
    assert [cells[name].value for name in table.columns] == [49.85, 12.36, 7.43, 1.82]
    assert row_of(table, "class 2, digits").cells["mean_1"].value == 20.0


def test_representations_are_compared_with_the_untrained_encoder(folder: Path) -> None:
    table = tables_of(MadeUpOutputs(folder))["table2"]
    assert table.relation(row_of(table, "LZN, without head, digits"), "top1") is Relation.BETTER
    assert table.is_best(row_of(table, "control: raw pixels, digits"), "top1")


def test_the_table_of_zones_has_accuracies_only_for_runs_with_labels(folder: Path) -> None:
    table = tables_of(MadeUpOutputs(folder))["zones"]
    joint, rf_lzn = row_of(table, "joint"), row_of(table, "rf_lzn")
    assert joint.cells["accuracy_bank"].value == pytest.approx(92)
    assert rf_lzn.cells["accuracy_bank"].reason == "this method does not classify"
    assert joint.cells["batch"].text == "128"  # a setting has no deviation
    assert row_of(table, "minibatches, data and model not named", "paper").cells["redrawn_batch"].value == 49
