"""Every table of the paper: its numbers, and this size's beside them."""

import hashlib
import json

from stages.dataset_files import write_json
from stages.entry import StageCall, run_stage
from stages.paper_tables import TablesParams, fill_tables
from stages.params import load_section
from stages.results import Results
from stages.tracking import RunIdentity, Tracker
from stages.training_table import training_table
from stages.zones_table import zones_table


def write_tables(call: StageCall) -> None:
    """Write ``tables.md`` and ``tables.json``."""
    params: TablesParams = load_section(call.params_file, "tables", TablesParams)
    families: dict[str, dict[str, str]] = load_section(
        call.params_file, "families", dict[str, dict[str, str]]
    )
    results = Results(call.workspace)
    tables = fill_tables(params, results)
    tables.append(
        training_table(results, runs=sorted({run for family in families.values() for run in family}))
    )
    if families["encoding"]:
        tables.append(zones_table(results, runs=list(families["encoding"])))

    folder = call.workspace.folder("tables")
    content = {table.name: table.to_json() for table in tables}
    write_json(folder / "tables.json", content)
    title = f"# The paper's tables at {call.workspace.size} size\n\n"
    (folder / "tables.md").write_text(
        title + "\n".join(table.to_markdown() for table in tables), encoding="utf-8"
    )

    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    identity = RunIdentity(experiment=f"lzn-{call.workspace.size}", name="tables", key=key)
    with Tracker.open(identity, tags={"stage": "tables", "size": call.workspace.size}) as tracker:
        for table in tables:
            tracker.log_table(table.to_columns(), f"tables/{table.name}.json")
        tracker.finish()


if __name__ == "__main__":
    run_stage("tables", write_tables, of_a_run=False)
