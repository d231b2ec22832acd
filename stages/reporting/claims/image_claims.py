"""Claims that RF+LZN generates better images than RF; the same for unconditional and conditional generation."""

from collections.abc import Mapping, Sequence

from stages.measuring.quantity import Quantity, seed_by_seed
from stages.reporting.claims.claim import Claim, Statement, Study, share_of_gains
from stages.reporting.claims.metrics_of_runs import find, gains_along_steps, gains_in_metrics, unit
from stages.reporting.metrics import FID_IMPLEMENTATIONS, METRICS, NEEDS_INCEPTION, Better
from stages.reporting.results import Results
from stages.reporting.verdict import gain

BETTER_IN = {
    "fid": "has a better FID",
    "recon": "reconstructs images better",
    "cmmd": "has a better CMMD",
}
"""The metrics of tables 1 and 4 that have a claim of their own, and how the claim words a lower number."""


def paper_pair(table: Mapping[str, list[float]], columns: list[str], metric: str) -> tuple[float, float]:
    """Return the paper's numbers of RF and RF+LZN."""
    position = columns.index(metric)
    return table["rf"][position], table["rf_lzn"][position]


def image_claim(
    study: Study,
    metric: str,
    *,
    numbers: tuple[float, float],
    kind: str = "",
    where: str = "",
    source: str,
    runs: tuple[str, str],
    results: Results,
) -> Claim:
    """Return the claim that RF+LZN is better, or worse, in a metric, as the paper's numbers say.

    Args:
        study: the study of the claim.
        metric: one of `BETTER_IN`.
        numbers: the paper's numbers of RF and RF+LZN.
        kind: the kind of generation, which the statement names before RF and RF+LZN; empty or "conditional ".
        where: the end of the statement, such as the data set.
        source: table of the paper.
        runs: our runs of RF and RF+LZN.
        results: numbers of our runs.
    """
    rf, rf_lzn = numbers
    better, opposite = METRICS[metric].better, _opposite(METRICS[metric].better)
    if (rf_lzn < rf) == (better == "lower"):
        comparison, direction = BETTER_IN[metric], better
    else:
        comparison, direction = BETTER_IN[metric].replace("better", "worse"), opposite
    text = f"{kind.capitalize()}RF+LZN {comparison} than {kind}RF{where}"
    statement = Statement(study, text, source, f"{rf:g} → {rf_lzn:g}")
    return statement.waiting(results, "measure", *runs) or statement.compared(
        find(results, runs[0], metric),
        find(results, runs[1], metric),
        direction,
        note=f"Difference in {unit(results, runs[0], metric)}.",
        missing=METRICS[metric].missing,
    )


def implementations_claim(statement: Statement, rf: str, rf_lzn: str, results: Results) -> Claim:
    """Return the claim that three implementations of FID rank RF and RF+LZN in the same order."""
    if waiting := statement.waiting(results, "measure", rf, rf_lzn):
        return waiting
    before, after = results.flat("measure", rf), results.flat("measure", rf_lzn)
    if not all(name in before and name in after for name in FID_IMPLEMENTATIONS):
        return statement.not_measurable(NEEDS_INCEPTION)
    gains = [gain(after[name], before[name], "lower") for name in FID_IMPLEMENTATIONS]
    found = [one for one in gains if one is not None]
    if len(found) < len(FID_IMPLEMENTATIONS):
        return statement.not_measurable("the runs have no seed in common")
    sign = 1.0 if found[0].mean > 0 else -1.0
    smallest = seed_by_seed(lambda values: min(sign * value for value in values), found)
    assert smallest is not None
    note = (
        "Gains in FID (CM, RF, clean). The judged number is the smallest of them; all signs are reversed if the first "
        "gain is negative."
    )
    return statement.judged(smallest, ours=", ".join(one.text for one in found), above=0, note=note)


def steps_claim(statement: Statement, rf: str, rf_lzn: str, results: Results) -> Claim:
    """Return the claim that RF+LZN has the lower distance at most numbers of Euler steps."""
    if waiting := statement.waiting(results, "steps", rf, rf_lzn):
        return waiting
    gains = gains_along_steps(results, rf, rf_lzn)
    note = f"Percentage of the numbers of steps ({', '.join(map(str, gains))}) at which RF+LZN has the lower distance."
    return most_claim(statement, list(gains.values()), note)


def most_metrics_claim(statement: Statement, rf: str, rf_lzn: str, results: Results) -> Claim:
    """Return the claim that RF+LZN is better in more than half of the metrics."""
    if waiting := statement.waiting(results, "measure", rf, rf_lzn):
        return waiting
    note = (
        "Percentage of the measured metrics in which RF+LZN is better; ties in the paper count as not better."
    )
    return most_claim(statement, list(gains_in_metrics(results, rf, rf_lzn).values()), note)


def count_better(
    table: Mapping[str, Sequence[float | None]], columns: Sequence[str], method: str = "rf_lzn"
) -> str:
    """Return in how many of its metrics of images a method is better than RF in the paper, such as ``5 of 7``."""
    pairs = {
        name: (rf, ours)
        for name, rf, ours in zip(columns, table["rf"], table[method], strict=True)
        if rf is not None and ours is not None
    }
    better = sum(
        ours < rf if METRICS[name].better == "lower" else ours > rf for name, (rf, ours) in pairs.items()
    )
    return f"{better} of {len(pairs)}"


def most_claim(statement: Statement, gains: Sequence[Quantity], note: str) -> Claim:
    """Return the claim that more than half of the gains are above zero."""
    share = share_of_gains(gains)
    if share is None:
        return statement.not_measurable("the runs have no numbers in common")
    better = sum(one.mean > 0 for one in gains)
    ours = f"{better} of {len(gains)} (means over seeds)"
    return statement.judged(share, ours=ours, above=50, note=note)


def _opposite(better: Better) -> Better:
    return "higher" if better == "lower" else "lower"
