"""The claims of all studies."""

from collections.abc import Mapping

from stages.reporting.claims.claim import Claim
from stages.reporting.claims.classification_settings import setting_claims
from stages.reporting.claims.generation import generation_claims
from stages.reporting.claims.joint import joint_claims
from stages.reporting.claims.representation import representation_claims
from stages.reporting.claims.zone_stability import zone_stability_claim
from stages.reporting.results import Results
from stages.reporting.tables.tables_params import TablesParams


def all_claims(
    params: TablesParams, families: Mapping[str, Mapping[str, str]], results: Results
) -> list[Claim]:
    """Return the claims in the paper's order."""
    return [
        *generation_claims(params, results),
        *representation_claims(params, results),
        *joint_claims(params, results),
        *setting_claims(params, results),
        zone_stability_claim(families.get("encoding", {}), results),
    ]
