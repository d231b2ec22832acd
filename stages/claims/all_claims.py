"""The claims of all studies."""

from collections.abc import Mapping

from stages.claims.claim import Claim
from stages.claims.generation import generation_claims
from stages.claims.joint import joint_claims
from stages.claims.representation import representation_claims
from stages.claims.settings import setting_claims
from stages.claims.zones import zones_claim
from stages.paper_tables.params import TablesParams
from stages.results import Results


def all_claims(
    params: TablesParams, families: Mapping[str, Mapping[str, str]], results: Results
) -> list[Claim]:
    """In the paper's order."""
    return [
        *generation_claims(params, results),
        *representation_claims(params, results),
        *joint_claims(params, results),
        *setting_claims(params, results),
        zones_claim(families.get("encoding", {}), results),
    ]
