"""Tables and claims of a workspace in which no stage has run, or only some."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs

from stages.reporting.claims import Claim, all_claims
from stages.reporting.results import FAMILY_OF_STAGE, Results
from stages.reporting.tables import TablesParams, fill_tables
from stages.reporting.tables.formats import tables_to_json
from stages.reporting.tables.table import Table
from stages.reporting.verdict import Verdict, count_verdicts

PARAMS = TablesParams.model_validate(TABLES)


def tables_of(outputs: MadeUpOutputs) -> Mapping[str, Table]:
    families = outputs.params["families"]
    return {table.name: table for table in fill_tables(PARAMS, families, Results(outputs.paths, families))}


def claims_of(outputs: MadeUpOutputs) -> Mapping[str, Claim]:
    families = outputs.params["families"]
    return {
        claim.statement: claim for claim in all_claims(PARAMS, families, Results(outputs.paths, families))
    }


def empty(folder: Path) -> MadeUpOutputs:
    outputs = MadeUpOutputs(folder)
    shutil.rmtree(folder / "outputs")
    return outputs


def reasons(table: Table, label: str) -> set[str]:
    (row,) = (row for row in table.rows if row.label == label and row.source == "ours")
    return {cell.reason for cell in row.cells.values()}


def test_an_empty_workspace_gives_the_papers_numbers_and_says_that_ours_are_not_run_yet(
    folder: Path,
) -> None:
    full, tables = tables_of(MadeUpOutputs(folder)), tables_of(empty(folder))
    without_paper = {"figure17", "figure19", "figure20", "figure24", "figure25"}
    assert set(tables) == set(full) - without_paper
    for name, table in tables.items():
        rows = [row for row in table.rows if row.source == "paper"]
        assert [row.label for row in rows] == [r.label for r in full[name].rows if r.source == "paper"]
        ours = [cell for row in table.rows if row.source == "ours" for cell in row.cells.values()]
        assert ours
        assert {cell.reason for cell in ours} <= {"not run yet", "this method does not classify"}
    tables_to_json(list(tables.values()))


def test_every_claim_of_an_empty_workspace_waits_or_is_not_measurable_at_the_size(folder: Path) -> None:
    full, claims = claims_of(MadeUpOutputs(folder)), claims_of(empty(folder))
    assert list(claims) == list(full)
    for statement, claim in claims.items():
        if claim.verdict is Verdict.NOT_MEASURABLE:
            assert full[statement].verdict is Verdict.NOT_MEASURABLE
        else:
            assert claim.verdict is Verdict.NOT_RUN_YET
            assert claim.note.startswith("not run yet: ")


@pytest.mark.parametrize("stage", FAMILY_OF_STAGE)
def test_a_stage_that_has_not_run_leaves_the_claims_of_other_stages_as_they_are(
    folder: Path, stage: str
) -> None:
    outputs = MadeUpOutputs(folder)
    full = claims_of(outputs)
    outputs.remove(stage)
    claims = claims_of(outputs)
    waiting = {name for name, claim in claims.items() if claim.verdict is Verdict.NOT_RUN_YET}
    assert waiting
    assert all(f"{stage}@" in claims[name].note for name in waiting)
    assert {name: claim for name, claim in claims.items() if name not in waiting} == {
        name: claim for name, claim in full.items() if name not in waiting
    }


def test_a_run_that_is_not_measured_yet_has_its_row_beside_those_that_are(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    for stage in ("measure", "steps", "classify", "zones"):
        shutil.rmtree(outputs.paths.metrics_folder(stage) / "joint")
    tables = tables_of(outputs)
    for name in ("table4", "figure24"):
        label = "RF+LZN, digits" if name == "table4" else "RF+LZN, FD (digits), digits"
        assert reasons(tables[name], label) == {"not run yet"}
    assert reasons(tables["table3"], "RF+LZN, digits") == {"not run yet"}
    assert reasons(tables["zones"], "joint") == {"not run yet"}
    cells = {row.label: row.cells for row in tables["table8"].rows if row.source == "ours"}
    assert cells["RF, digits"]["accuracy"].reason == "this method does not classify"
    assert cells["RF+LZN, u = 20, digits"]["accuracy"].reason == "not run yet"
    assert cells["RF+LZN, u = 5, digits"]["accuracy"].value is not None


def test_the_gap_shows_the_distances_that_are_there(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    shutil.rmtree(outputs.paths.metrics_folder("measure") / "rf_conditional")
    (row,) = (row for row in tables_of(outputs)["gap"].rows if row.source == "ours")
    assert row.label == "FD (digits), digits"
    assert row.cells["with_latents"].value == pytest.approx(8 * 1.01)
    assert row.cells["conditional"].reason == row.cells["closed"].reason == "not run yet"


def test_the_count_of_verdicts_names_not_run_yet_only_if_there_is_one() -> None:
    assert "not run yet" not in count_verdicts(["holds", "holds"])
    assert count_verdicts(["holds", "not run yet"])["not run yet"] == 1
