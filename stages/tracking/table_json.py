"""Tables in the form that ``mlflow.load_table`` reads."""

import json
import math
from collections.abc import Mapping, Sequence

from stages.tracking.records import Scalar


def table_as_json(columns: Mapping[str, Sequence[Scalar]], artifact: str) -> str:
    """Return the table in pandas' "split" form; NaN becomes null.

    Raises:
        ValueError: ``artifact`` does not end in ``.json``, or the columns have different lengths.
    """
    if not artifact.endswith(".json"):
        raise ValueError(f"the name of a table must end in .json, got {artifact!r}")
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"all columns of a table must be equally long, got {lengths}")
    rows = [[_cell(value) for value in row] for row in zip(*columns.values(), strict=True)]
    return json.dumps({"columns": list(columns), "data": rows}, allow_nan=False)


def _cell(value: Scalar) -> Scalar:
    return None if isinstance(value, float) and not math.isfinite(value) else value
