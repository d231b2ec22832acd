"""The gap between unconditional and conditional generation."""

from pathlib import Path

import pytest
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs

from stages.measuring.quantity import Quantity
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, paper_numbers
from stages.reporting.tables.gap import NO_GAP, Gap, gap_of, gap_table, paper_gap

PARAMS = TablesParams.model_validate(TABLES)


def test_the_paper_closes_59_percent_of_the_gap() -> None:
    closed = paper_gap().closed
    assert closed is not None
    assert closed.mean == pytest.approx(100 * (2.76 - 2.59) / (2.76 - 2.47))
    assert round(closed.mean) == round(
        100 * paper_numbers()["claims"]["gap_closed_between_unconditional_and_conditional_fid_cifar10"]
    )


def test_the_share_of_the_gap_is_computed_seed_by_seed(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    for run, (first, second) in {
        "rf": (12.0, 10.0),
        "rf_lzn": (8.0, 9.0),
        "rf_conditional": (2.0, 6.0),
    }.items():
        outputs.write_measured("measure", run, {0: {"fd_digits": first}, 1: {"fd_digits": second}})
    gap = gap_of(("rf", "rf_lzn", "rf_conditional"), Results(outputs.paths))
    assert gap is not None
    closed = gap.closed
    assert closed is not None
    assert closed.by_seed == pytest.approx({0: 40.0, 1: 25.0})  # the means give another share: 100 * 2.5 / 7


def test_there_is_no_gap_if_conditional_generation_is_not_better(folder: Path) -> None:
    assert Gap("FD", Quantity({0: 2.0}), Quantity({0: 1.0}), Quantity({0: 2.5})).closed is None
    outputs = MadeUpOutputs(folder)
    outputs.write_measured("measure", "rf_conditional", {seed: {"fd_digits": 13.0} for seed in (0, 1)})
    table = gap_table(PARAMS, Results(outputs.paths))
    assert table.rows[1].cells["closed"].reason == NO_GAP
