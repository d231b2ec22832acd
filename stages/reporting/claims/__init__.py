"""The paper's claims, each with its number, ours, and a verdict by one rule."""

from stages.reporting.claims.all_claims import all_claims
from stages.reporting.claims.claim import Claim
from stages.reporting.claims.formats import claims_to_columns, claims_to_json, claims_to_markdown

__all__ = ["Claim", "all_claims", "claims_to_columns", "claims_to_json", "claims_to_markdown"]
