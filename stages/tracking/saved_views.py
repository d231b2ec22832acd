"""Saved views of an experiment: tags in the format of MLflow's user interface, which is not documented.

In MLflow 3.17 the tag ``mlflow.sharedViewState.<key>`` has a JSON object with the name of the view, two times and, as
text, the state of the page "Runs": filter, columns and grouping.
"""

import json
from collections.abc import Mapping, Sequence

TAG = "mlflow.sharedViewState."
OURS_BESIDE_THE_PAPERS = "ours-beside-the-papers"
CURVES = "curves"
_NAMES = {OURS_BESIDE_THE_PAPERS: "Ours beside the paper's", CURVES: "Curves"}
_MODES = {OURS_BESIDE_THE_PAPERS: "TABLE", CURVES: "CHART"}
# MLflow refuses tags of experiments with more than 5000 characters.
_MOST_COLUMNS = 40


def saved_views(metrics: Sequence[str]) -> dict[str, str]:
    """Return experiment tags with the two views.

    - "Ours beside the paper's": one row for each run of params.yaml, with ``metrics`` as columns.
    - "Curves": charts of all seeds, as means over the seeds of each run. The page adds parents to their children, so
      parents do not have the tag ``run`` by which seeds are grouped.
    """
    columns = ["attributes.`Created`", *(f"metrics.`{name}`" for name in metrics[:_MOST_COLUMNS])]
    by_run = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "run"}]}
    states: Mapping[str, object] = {
        OURS_BESIDE_THE_PAPERS: {
            "searchFilter": "tags.level = 'family'",
            "selectedColumns": columns,
            "runsHiddenMode": "SHOW_ALL",
        },
        CURVES: {
            "searchFilter": "tags.level = 'seed'",
            "groupBy": by_run,
            "useGroupedValuesInCharts": True,
            "runsHiddenMode": "SHOW_ALL",
        },
    }
    return {
        f"{TAG}{key}": json.dumps(
            {"name": _NAMES[key], "createdAt": 1, "updatedAt": 1, "state": json.dumps(state)}
        )
        for key, state in states.items()
    }


def view_address(interface: str, experiment_id: str, *, view: str = OURS_BESIDE_THE_PAPERS) -> str:
    """Return the address of a view; without ``workflowType`` the page shows traces of language models."""
    return (
        f"{interface}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        f"&viewStateShareKey={view}&compareRunsMode={_MODES[view]}"
    )
