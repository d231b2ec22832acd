"""Tables: the best numbers, comparisons with the baseline, and the formats."""

import json

import pytest

from stages.measuring.quantity import Quantity
from stages.reporting.tables.formats import table_to_columns, table_to_markdown, tables_to_json
from stages.reporting.tables.table import Cell, Column, Relation, Row, Table

COLUMNS = {"fid": Column("FID", "lower"), "recall": Column("Recall", "higher"), "batch": Column("Batch")}
MISSING = Cell(None, "needs features")


def row(label: str, fid: Cell, recall: Cell, *, group: str = "ours", compared_to: str | None = None) -> Row:
    cells = {"fid": fid, "recall": recall, "batch": Cell(128.0)}
    return Row(label, "paper" if group == "paper" else "ours", cells, group, compared_to)


BASELINE = row(
    "RF", Cell.of(Quantity({0: 12.0, 1: 13.0, 2: 12.5})), Cell.of(Quantity({0: 0.5, 1: 0.7, 2: 0.6}))
)
BETTER = row(
    "RF+LZN",
    Cell.of(Quantity({0: 8.0, 1: 9.1, 2: 8.4})),
    Cell.of(Quantity({0: 0.7, 1: 0.5, 2: 0.63})),
    compared_to="RF",
)
PAPER = [
    row("RF", Cell(2.76), Cell(0.59), group="paper"),
    row("RF+LZN", Cell(2.59), Cell(0.59), group="paper", compared_to="RF"),
]
TABLE = Table("table1", "Table 1", COLUMNS, [*PAPER, BASELINE, BETTER], ["A remark."])


def test_the_best_number_is_chosen_within_each_group() -> None:
    best = {
        (row.source, row.label, name) for row in TABLE.rows for name in COLUMNS if TABLE.is_best(row, name)
    }
    assert best == {("paper", "RF+LZN", "fid"), ("ours", "RF+LZN", "fid"), ("ours", "RF+LZN", "recall")}


def test_a_gain_in_every_seed_is_better_and_a_gain_that_changes_sign_is_noise() -> None:
    assert TABLE.relation(BETTER, "fid") is Relation.BETTER
    assert TABLE.relation(BETTER, "recall") is Relation.WITHIN_NOISE
    assert TABLE.relation(BETTER, "batch") is None  # a batch size is neither good nor bad
    assert TABLE.relation(BASELINE, "fid") is None


def test_numbers_of_the_paper_are_compared_without_an_interval() -> None:
    assert TABLE.relation(PAPER[1], "fid") is Relation.BETTER
    assert TABLE.relation(PAPER[1], "recall") is Relation.WITHIN_NOISE  # equal


def test_a_cell_without_a_number_is_neither_best_nor_compared() -> None:
    empty = row("RF+LZN", MISSING, MISSING, compared_to="RF")
    table = Table("table1", "Table 1", COLUMNS, [BASELINE, empty])
    assert not table.is_best(empty, "fid")
    assert table.relation(empty, "fid") is None
    with pytest.raises(AssertionError, match="a number or a reason"):
        Cell(None)


def test_markdown_marks_best_and_better_numbers_and_explains_empty_cells() -> None:
    empty = row("Other", MISSING, MISSING)
    text = table_to_markdown(Table("table1", "Table 1", COLUMNS, [BASELINE, BETTER, empty], ["A remark."]))
    assert "| **8.5 ± 0.6** ▲ |" in text
    assert "| **0.61 ± 0.10** ≈ |" in text
    assert "| FID ↓ " in text
    assert text.count("– [1]") == 2
    assert text.endswith("- A remark.\n- [1] needs features\n")


def test_json_has_value_deviation_and_number_of_seeds() -> None:
    content = json.loads(json.dumps(tables_to_json([TABLE])))["table1"]
    paper, ours = content["rows"][1]["cells"]["fid"], content["rows"][3]["cells"]["fid"]
    assert (paper["value"], paper["std"], paper["num_seeds"]) == (2.59, None, None)
    assert ours["value"] == pytest.approx(8.5)
    assert ours["num_seeds"] == 3
    assert ours["std"] == pytest.approx(0.55677643628, rel=1e-9)  # of 8, 9.1 and 8.4, by hand
    assert (ours["best"], ours["relation"]) == (True, "better")
    assert [column["key"] for column in content["columns"]] == list(COLUMNS)


def test_columns_for_mlflow_are_numbers_and_deviations_have_their_own_columns() -> None:
    columns = table_to_columns(TABLE)
    assert list(columns) == ["method", "source", "fid", "fid std", "recall", "recall std", "batch"]
    assert columns["fid std"][:2] == [None, None]
    assert all(value is None or isinstance(value, float) for value in columns["fid"])
