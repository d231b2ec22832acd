"""Write the paper's tables with its numbers and ours, and the verdicts on its claims."""

from lzn.base.files import write_json, write_text
from stages.reporting.claims import all_claims, claims_to_columns, claims_to_json, claims_to_markdown
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams, fill_tables
from stages.reporting.tables.formats import LEGEND, table_to_markdown, tables_to_json
from stages.reporting.tables.tracked_results import results_identity, track_results
from stages.runtime.stage_main import StageCall, run_stage


def write_tables(call: StageCall) -> None:
    """Write ``tables.md``, ``tables.json``, ``claims.md`` and ``claims.json``."""
    params: TablesParams = call.params.section("tables", TablesParams)
    families: dict[str, dict[str, str]] = call.params.section("families", dict[str, dict[str, str]])
    results, size, folder = Results(call.outputs), call.outputs.size, call.outputs.folder("tables")
    tables = fill_tables(params, families, results)
    claims = all_claims(params, families, results)

    content = tables_to_json(tables)
    write_json(folder / "tables.json", content)
    write_json(folder / "claims.json", claims_to_json(claims))
    markdown = [f"# The paper's tables at size {size}", LEGEND, *map(table_to_markdown, tables)]
    write_text(folder / "tables.md", "\n\n".join(markdown))
    write_text(folder / "claims.md", claims_to_markdown(claims, size=size))

    track_results(
        params,
        results,
        tables,
        claims=claims_to_columns(claims),
        markdown=claims_to_markdown(claims, size=size),
        identity=results_identity(size, tables=content, claims=claims_to_json(claims)),
        files=[folder / name for name in ("tables.md", "claims.md")],
    )


if __name__ == "__main__":
    run_stage("tables", write_tables, has_items=False)
