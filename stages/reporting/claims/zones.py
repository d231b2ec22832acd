"""The claim of the reviews about zones in minibatches."""

import math
from collections.abc import Iterable

from lzn.base.number_format import with_deviation
from stages.measuring.quantity import Quantity, flatten_quantities
from stages.reporting.claims.claim import Claim, Statement
from stages.reporting.results import Results
from stages.reporting.tables.numbers import paper_numbers

ABOUT_HALF = (25.0, 75.0)


def zones_claim(runs: Iterable[str], results: Results) -> Claim:
    """That about half of the latents stay in their zone when the rest of the batch is redrawn."""
    share = 100 * paper_numbers()["claims"]["latents_that_stay_in_their_zone_when_the_batch_is_redrawn"]
    text = "About half of the latents stay in their zone when the rest of the batch is redrawn"
    statement = Statement("Latent zones", text, "reviews", f"{share:g} %")
    measured = [
        flatten_quantities(results.of("zones", run))["redrawn_batch.share"]
        for run in runs
        if results.has("zones", run)
    ]
    seeds = set.intersection(*(set(one.by_seed) for one in measured)) if measured else set()
    if not seeds:
        return statement.not_measurable("no run of this size went through the stage zones")
    found = Quantity(
        {seed: 100 * math.fsum(one.by_seed[seed] for one in measured) / len(measured) for seed in seeds}
    )
    low, high = ABOUT_HALF
    note = (
        f"Percent, mean over {len(measured)} runs with an encoder, each with its training's batch size (the paper "
        "names neither data nor batch size); about half: nearer to half than to none or all, so between "
        f"{low:g} and {high:g}."
    )
    return statement.judged(
        found, ours=f"{with_deviation(found.mean, found.std)} %", above=low, below=high, note=note
    )
