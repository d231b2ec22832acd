"""Write the paper's tables with its numbers and ours, and the verdicts on its claims."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lzn.base.files import write_json, write_text
from lzn.base.sections import ParamsFile
from stages.reporting.claims import (
    Claim,
    all_claims,
    claims_to_columns,
    claims_to_json,
    claims_to_markdown,
)
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, fill_tables
from stages.reporting.tables.formats import LEGEND, table_to_markdown, tables_to_json
from stages.reporting.tables.table import Table
from stages.reporting.tables.tracked_results import results_identity, track_results
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall, run_stage


@dataclass(frozen=True)
class Filled:
    """The tables and claims of a size, and the results that they are made from."""

    params: TablesParams
    results: Results
    tables: Sequence[Table]
    claims: Sequence[Claim]


def write_tables(call: StageCall) -> None:
    """Write the files of `write_filled`, and log their content to MLflow."""
    size, folder = call.outputs.size, call.outputs.folder("tables")
    filled = write_filled(call.params, call.outputs, folder)
    track_results(
        filled.params,
        filled.results,
        filled.tables,
        claims=claims_to_columns(filled.claims),
        markdown=claims_to_markdown(filled.claims, size=size),
        identity=results_identity(
            size, tables=tables_to_json(filled.tables), claims=claims_to_json(filled.claims)
        ),
        files=[folder / name for name in ("tables.md", "claims.md")],
    )


def write_filled(params: ParamsFile, outputs: OutputPaths, folder: Path) -> Filled:
    """Write ``tables.md``, ``tables.json``, ``claims.md`` and ``claims.json`` from the numbers that exist so far."""
    tables_params: TablesParams = params.section("tables", TablesParams)
    families: dict[str, dict[str, str]] = params.section("families", dict[str, dict[str, str]])
    results = Results(outputs, families)
    tables = fill_tables(tables_params, families, results)
    claims = all_claims(tables_params, families, results)
    write_json(folder / "tables.json", tables_to_json(tables))
    write_json(folder / "claims.json", claims_to_json(claims))
    markdown = [f"# The paper's tables at size {outputs.size}", LEGEND, *map(table_to_markdown, tables)]
    write_text(folder / "tables.md", "\n\n".join(markdown))
    write_text(folder / "claims.md", claims_to_markdown(claims, size=outputs.size))
    return Filled(tables_params, results, tables, claims)


if __name__ == "__main__":
    run_stage("tables", write_tables, has_items=False)
