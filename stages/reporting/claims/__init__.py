"""The claims of the paper, each with the paper's numbers, ours, and a verdict by one rule.

- `claim`: a claim, its evidence and its verdict; `Statement` is the paper's part of it.
- `metrics_of_runs`: the numbers of runs by the paper's names of metrics, and gains between two runs.
- `image_claims`: claims that RF+LZN generates better images than RF, for both kinds of generation.
- `generation`, `gap`, `representation`, `joint`, `classification_settings`, `zone_stability`: the claims of each study.
- `all_claims`: calls all of them in the paper's order. `formats`: claims as JSON, Markdown and columns.
"""

from stages.reporting.claims.all_claims import all_claims
from stages.reporting.claims.claim import Claim
from stages.reporting.claims.formats import claims_to_columns, claims_to_json, claims_to_markdown

__all__ = ["Claim", "all_claims", "claims_to_columns", "claims_to_json", "claims_to_markdown"]
