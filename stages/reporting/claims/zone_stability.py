"""The claim of the paper's reviews about zones in minibatches."""

import math
from collections.abc import Iterable

from stages.measuring.quantity import seed_by_seed
from stages.reporting.claims.claim import Claim, Statement, Study
from stages.reporting.results import Results
from stages.reporting.tables.paper_numbers import paper_numbers

ABOUT_HALF = (25.0, 75.0)
"""Percentages that count as about half: nearer to half than to none or all."""


def zone_stability_claim(runs: Iterable[str], results: Results) -> Claim:
    """Return the claim that about half of the latents stay in their zone when the rest of the batch is redrawn."""
    share = 100 * paper_numbers()["claims"]["latents_that_stay_in_their_zone_when_the_batch_is_redrawn"]
    runs = list(runs)
    text = "About half of the latents stay in their zone when the rest of the batch is redrawn"
    statement = Statement(Study.ZONES, text, "reviews", f"{share:g} %")
    if waiting := statement.waiting(results, "zones", *runs):
        return waiting
    measured = [results.flat("zones", run)["redrawn_batch.share"] for run in runs]
    percentage = seed_by_seed(lambda values: 100 * math.fsum(values) / len(values), measured)
    if percentage is None:
        return statement.not_measurable("no run of this size went through the stage zones")
    low, high = ABOUT_HALF
    note = (
        f"Percentage, mean over {len(measured)} runs with an encoder, each with the batch size of its training (the "
        "paper names neither data nor batch size). About half means: nearer to half than to none or all, so between "
        f"{low:g} and {high:g} %."
    )
    return statement.judged(percentage, ours=f"{percentage.text} %", above=low, below=high, note=note)
