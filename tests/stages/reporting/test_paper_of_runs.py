"""The paper's numbers by run."""

import pytest

from stages.reporting.tables.paper_of_runs import paper_of_runs
from stages.reporting.tables.tables_params import TablesParams

PARAMS = TablesParams(
    unconditional={"digits": {"rf": "rf", "rf_lzn": "latents"}, "afhq_cat": {"rf": "cats"}},
    conditional={"rf": "rf_conditional", "rf_lzn": "joint"},
    classification={"rf_lzn_no_gen": "classifier", "rf_lzn": "joint"},
    cutoff={"rf_lzn_u20": "joint", "rf_lzn_u5": "small_cutoff"},
    linear_probe="representation",
)


def test_runs_on_data_of_the_paper_have_its_numbers_and_others_those_of_cifar10() -> None:
    paper = paper_of_runs(PARAMS)
    assert paper["cats"]["paper/fid"] == 6.08
    assert (paper["rf"]["paper/fid"], paper["latents"]["paper/fid"]) == (2.76, 2.59)


def test_a_run_of_several_tables_has_the_numbers_of_all_and_shares_are_fractions() -> None:
    paper = paper_of_runs(PARAMS)
    assert paper["joint"]["paper/fid"] == 2.40
    assert paper["joint"]["paper/accuracy"] == 0.9447
    assert paper["small_cutoff"]["paper/recon"] == 0.36
    assert paper["classifier"] == {"paper/accuracy": pytest.approx(0.9359)}
    assert paper["representation"] == {"paper/top1": 0.695, "paper/top5": 0.893}


def test_numbers_that_the_paper_does_not_report_are_left_out() -> None:
    assert "paper/accuracy" not in paper_of_runs(TablesParams(cutoff={"rf": "rf"}))["rf"]
