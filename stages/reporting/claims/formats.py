"""Claims as JSON, as Markdown, and as columns of plain values."""

from collections.abc import Sequence
from typing import Any

from stages.reporting.claims.claim import Claim
from stages.reporting.tables.formats import aligned
from stages.reporting.verdict import RULE, count_verdicts


def claims_to_json(claims: Sequence[Claim]) -> dict[str, Any]:
    """Return the rule and the claims as plain data."""
    return {"rule": RULE, "claims": [claim.to_json() for claim in claims]}


def claims_to_markdown(claims: Sequence[Claim], *, size: str) -> str:
    """Return the number of claims by verdict, a table of the claims, the rule of the verdicts, and the evidence."""
    lines = [["", "Verdict", "Claim", "Paper", "Ours", "Source"]]
    notes = []
    for number, claim in enumerate(claims, start=1):
        verdict = f"{claim.verdict.symbol} {claim.verdict}"
        lines.append([str(number), verdict, claim.statement, claim.paper, claim.ours or "–", claim.source])
        evidence = f" {claim.evidence}." if claim.evidence else ""
        notes.append(f"{number}. {claim.note[:1].upper()}{claim.note[1:].removesuffix('.')}.{evidence}")
    counted = count_verdicts([claim.verdict.value for claim in claims])
    counts = ", ".join(f"{verdict} {count}" for verdict, count in counted.items())
    paragraphs = [
        f"# The paper's claims at size {size}",
        f"Number of claims by verdict: {counts}.",
        "\n".join(aligned(lines)),
        "## Rule",
        RULE,
        "## Evidence",
        "\n".join(notes),
    ]
    return "\n\n".join(paragraphs) + "\n"


def claims_to_columns(claims: Sequence[Claim]) -> dict[str, list[str | float | None]]:
    """Return the claims as columns of plain values for MLflow."""
    intervals = [None if claim.quantity is None else claim.quantity.interval() for claim in claims]
    return {
        "study": [claim.study.value for claim in claims],
        "claim": [claim.statement for claim in claims],
        "source": [claim.source for claim in claims],
        "paper": [claim.paper for claim in claims],
        "ours": [claim.ours for claim in claims],
        "verdict": [claim.verdict.value for claim in claims],
        "judged": [None if claim.quantity is None else claim.quantity.mean for claim in claims],
        "judged low": [None if interval is None else interval[0] for interval in intervals],
        "judged high": [None if interval is None else interval[1] for interval in intervals],
        "note": [claim.note for claim in claims],
    }
