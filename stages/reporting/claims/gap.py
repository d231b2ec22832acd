"""Claims that latents close a part of the gap between unconditional and conditional generation (sections 1 and 3)."""

from collections.abc import Iterator, Sequence

from stages.reporting.claims.claim import NO_RUNS, Claim, Statement, Study
from stages.reporting.claims.metrics_of_runs import find
from stages.reporting.metrics import METRICS
from stages.reporting.results import Results
from stages.reporting.tables.gap import NO_GAP, gap_of, paper_gap, runs_with_gap
from stages.reporting.tables.paper_numbers import paper_table
from stages.reporting.tables.tables_params import TablesParams


def gap_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims about FID, one for each data set with a gap, and those about sFID and reconstruction."""
    yield from _fid_claims(params, results)
    runs = next(((conditional, rf_lzn) for _, _, rf_lzn, conditional in params.gaps()), None)
    if runs is not None:
        yield _better_than_conditional("sfid", "has a better sFID", runs, results)
        yield _better_than_conditional("recon", "reconstructs better", runs, results)


def _fid_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    closed = paper_gap().closed
    assert closed is not None
    text = "Unconditional RF+LZN closes a part of the gap in FID between unconditional and conditional RF"
    statement = Statement(Study.UNCONDITIONAL, text, "§ 1, § 3", f"{closed.mean:.0f} %")
    compared = runs_with_gap(params, results)
    for data, runs in compared.items():
        yield statement.waiting(results, "measure", *runs) or _fid_claim(statement, data, runs, results)
    if not compared:
        yield statement.not_measurable(NO_RUNS)


def _fid_claim(statement: Statement, data: str, runs: Sequence[str], results: Results) -> Claim:
    gap = gap_of(runs, results)
    if gap is None:
        return statement.not_measurable(METRICS["fid"].missing)
    if gap.closed is None:
        return statement.not_measurable(NO_GAP)
    note = f"Percentage of the gap in {gap.distance} on {data}."
    return statement.judged(gap.closed, ours=f"{gap.closed.text} %", above=0, note=note)


def _better_than_conditional(metric: str, words: str, runs: tuple[str, str], results: Results) -> Claim:
    """Return the claim that unconditional RF+LZN is better than conditional RF; ``runs``: conditional RF and it."""
    columns, unconditional_numbers = paper_table("table1_unconditional")
    _, conditional_numbers = paper_table("table4_conditional_cifar10")
    position = columns.index(metric)
    before, after = conditional_numbers["rf"][position], unconditional_numbers["cifar10"]["rf_lzn"][position]
    text = f"Unconditional RF+LZN {words} than conditional RF"
    statement = Statement(Study.UNCONDITIONAL, text, "§ 3, Tables 1 and 4", f"{before:g} → {after:g}")
    conditional, rf_lzn = runs
    return statement.waiting(results, "measure", *runs) or statement.compared(
        find(results, conditional, metric),
        find(results, rf_lzn, metric),
        "lower",
        note=f"Difference in {'reconstruction error' if metric == 'recon' else METRICS[metric].heading}.",
        missing=METRICS[metric].missing,
    )
