"""Claims that latents close a part of the gap between unconditional and conditional generation (sections 1 and 3)."""

from collections.abc import Iterator

from stages.reporting.claims.claim import NO_RUNS, Claim, Statement, Study
from stages.reporting.claims.metrics_of_runs import find
from stages.reporting.metrics import METRICS
from stages.reporting.results import Results
from stages.reporting.tables.gap import NO_GAP, our_gaps, paper_gap
from stages.reporting.tables.paper_numbers import paper_table
from stages.reporting.tables.tables_params import TablesParams


def gap_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims about FID, one for each data set with a gap, and the claim about reconstruction."""
    yield from _fid_claims(params, results)
    runs = next(((conditional, rf_lzn) for _, _, rf_lzn, conditional in params.gaps()), None)
    if runs is not None:
        yield _reconstruction_claim(*runs, results)


def _fid_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    closed = paper_gap().closed
    assert closed is not None
    text = "Unconditional RF+LZN closes a part of the gap in FID between unconditional and conditional RF"
    statement = Statement(Study.UNCONDITIONAL, text, "§ 1, § 3", f"{closed.mean:.0f} %")
    gaps = our_gaps(params, results)
    for data, gap in gaps.items():
        if gap.closed is None:
            yield statement.not_measurable(NO_GAP)
            continue
        note = f"Percentage of the gap in {gap.distance} on {data}."
        yield statement.judged(gap.closed, ours=f"{gap.closed.text} %", above=0, note=note)
    if not gaps:
        yield statement.not_measurable(NO_RUNS)


def _reconstruction_claim(conditional: str, rf_lzn: str, results: Results) -> Claim:
    columns, unconditional_numbers = paper_table("table1_unconditional")
    _, conditional_numbers = paper_table("table4_conditional_cifar10")
    recon = columns.index("recon")
    before, after = conditional_numbers["rf"][recon], unconditional_numbers["cifar10"]["rf_lzn"][recon]
    text = "Unconditional RF+LZN reconstructs better than conditional RF"
    return Statement(Study.UNCONDITIONAL, text, "§ 3, Tables 1 and 4", f"{before:g} → {after:g}").compared(
        find(results, conditional, "recon"),
        find(results, rf_lzn, "recon"),
        "lower",
        note="Difference in reconstruction error.",
        missing=METRICS["recon"].missing,
    )
