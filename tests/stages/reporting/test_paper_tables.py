"""The paper's numbers beside ours, from made-up outputs."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from lzn_testing.projects.made_up_outputs import DATA, TABLES, MadeUpOutputs

from stages.measuring.quantity import Quantity
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, fill_tables, paper_numbers
from stages.reporting.tables.gap import NO_GAP, Gap, gap_table, our_gaps, paper_gap
from stages.reporting.tables.table import Relation, Row, Table

PARAMS = TablesParams.model_validate(TABLES)


def tables_of(outputs: MadeUpOutputs, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Table]:
    monkeypatch.chdir(outputs.root)
    families = outputs.params["families"]
    return {table.name: table for table in fill_tables(PARAMS, families, Results(outputs.workspace))}


def row_of(table: Table, label: str, source: str = "ours") -> Row:
    (found,) = (row for row in table.rows if row.label == label and row.source == source)
    return found


def test_every_table_is_there_the_paper_s_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tables_of(MadeUpOutputs(tmp_path), monkeypatch)
    paper = [f"table{number}" for number in range(1, 9)]
    assert list(tables) == [
        *paper,
        "gap",
        "figure17",
        "figure24",
        "figure20",
        "figure25",
        "tsne",
        "zones",
        "training",
    ]


def test_a_cell_is_the_mean_of_the_seeds_with_their_deviation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = row_of(tables_of(MadeUpOutputs(tmp_path), monkeypatch)["table1"], "RF, digits").cells["fd_digits"]
    assert cell.value == pytest.approx((12.0 + 12.0 * 1.02) / 2)
    assert cell.std == pytest.approx(12.0 * 0.02 / 2**0.5)  # of two values: their distance by root 2
    assert cell.num_seeds == 2


def test_with_one_seed_there_is_no_deviation_and_the_remark_says_one_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of(MadeUpOutputs(tmp_path, seeds=[0]), monkeypatch)
    table = tables["table1"]
    assert row_of(table, "RF, digits").cells["fd_digits"].std is None
    assert "digits, one seed." in table.remarks[0]
    assert table.relation(row_of(table, "RF+LZN, digits"), "fd_digits") is Relation.BETTER


def test_stages_that_have_not_run_leave_their_tables_out_and_the_rest_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = MadeUpOutputs(tmp_path)
    for stage in ("steps", "settings", "tsne", "zones"):
        outputs.remove(stage)
    tables = tables_of(outputs, monkeypatch)
    assert set(tables) == {*(f"table{number}" for number in range(1, 9)), "gap", "figure20", "training"}


def test_the_paper_closes_59_percent_of_its_gap() -> None:
    closed = paper_gap().closed
    assert closed is not None
    assert closed.mean == pytest.approx(100 * (2.76 - 2.59) / (2.76 - 2.47))
    assert round(closed.mean) == round(
        100 * paper_numbers()["claims"]["gap_closed_between_unconditional_and_conditional_fid_cifar10"]
    )


def test_our_gap_is_closed_seed_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = MadeUpOutputs(tmp_path)
    for run, (first, second) in {
        "rf": (12.0, 10.0),
        "rf_lzn": (8.0, 9.0),
        "rf_conditional": (2.0, 6.0),
    }.items():
        outputs.write_measured("measure", run, {0: {"fd_digits": first}, 1: {"fd_digits": second}})
    monkeypatch.chdir(tmp_path)
    closed = our_gaps(PARAMS, Results(outputs.workspace))[DATA].closed
    assert closed is not None
    assert closed.by_seed == pytest.approx({0: 40.0, 1: 25.0})  # not that of the means: 100 * 2.5 / 7


def test_where_classes_do_not_help_there_is_no_gap_to_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Gap("FD", Quantity({0: 2.0}), Quantity({0: 1.0}), Quantity({0: 2.5})).closed is None
    outputs = MadeUpOutputs(tmp_path)
    outputs.write_measured("measure", "rf_conditional", {seed: {"fd_digits": 13.0} for seed in (0, 1)})
    monkeypatch.chdir(tmp_path)
    table = gap_table(PARAMS, Results(outputs.workspace))
    assert row_of(table, "FD (digits), digits").cells["closed"].reason == NO_GAP


def test_t_sne_s_clusters_of_the_paper_are_those_of_its_reviews(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tables_of(MadeUpOutputs(tmp_path), monkeypatch)["tsne"]
    assert sum(row.source == "paper" for row in table.rows) == 21  # 20 classes and all of them
    cells = row_of(table, "class 993, ImageNet", "paper").cells
    assert [cells[name].value for name in table.columns] == [49.85, 12.36, 7.43, 1.82]
    assert row_of(table, "class 2, digits").cells["mean_1"].value == 20.0


def test_representations_are_compared_with_the_same_encoder_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tables_of(MadeUpOutputs(tmp_path), monkeypatch)["table2"]
    assert table.relation(row_of(table, "LZN, without head, digits"), "top1") is Relation.BETTER
    assert table.is_best(row_of(table, "control: raw pixels, digits"), "top1")


def test_zones_have_no_accuracy_where_there_are_no_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tables_of(MadeUpOutputs(tmp_path), monkeypatch)["zones"]
    joint, rf_lzn = row_of(table, "joint"), row_of(table, "rf_lzn")
    assert joint.cells["accuracy_bank"].value == pytest.approx(92)
    assert rf_lzn.cells["accuracy_bank"].reason == "this method does not classify"
    assert joint.cells["batch"].text == "128"  # a setting has no deviation
    assert row_of(table, "minibatches, data and model not named", "paper").cells["redrawn_batch"].value == 49
