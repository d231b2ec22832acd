"""Claims of section 3 and appendix C.4: unconditional generation."""

from collections.abc import Iterator

from stages.reporting.claims.claim import Claim, Statement, Study
from stages.reporting.claims.gap import gap_claims
from stages.reporting.claims.image_claims import (
    BETTER_IN,
    count_better,
    image_claim,
    implementations_claim,
    most_metrics_claim,
    paper_pair,
    steps_claim,
)
from stages.reporting.results import Results
from stages.reporting.tables.names import DATA_SETS
from stages.reporting.tables.paper_numbers import paper_table
from stages.reporting.tables.tables_params import TablesParams


def generation_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims of each data set; data that the paper does not have are compared with its CIFAR10."""
    for data, runs in params.unconditional.items():
        if {"rf", "rf_lzn"} <= runs.keys():
            yield from _of_data_set(data, runs["rf"], runs["rf_lzn"], results)
    _, paper = paper_table("table1_unconditional")
    missing = [data for data in paper if data != "cifar10" and data not in params.unconditional]
    if missing:
        yield _of_missing_data(missing)
    yield from gap_claims(params, results)


def _of_data_set(data: str, rf: str, rf_lzn: str, results: Results) -> Iterator[Claim]:
    columns, numbers = paper_table("table1_unconditional")
    like = data if data in numbers else "cifar10"
    where = f" ({DATA_SETS[data]})" if data in DATA_SETS else ""
    source = f"§ 3, Table 1, {DATA_SETS[like]}"
    runs = (rf, rf_lzn)
    for metric in BETTER_IN:
        pair = paper_pair(numbers[like], columns, metric)
        yield image_claim(
            Study.UNCONDITIONAL,
            metric,
            numbers=pair,
            where=where,
            source=source,
            runs=runs,
            results=results,
        )
    text = f"RF+LZN is better in most metrics{where}"
    statement = Statement(Study.UNCONDITIONAL, text, source, count_better(numbers[like], columns))
    yield most_metrics_claim(statement, rf, rf_lzn, results)
    text = f"Three implementations of FID rank RF and RF+LZN in the same order{where}"
    yield implementations_claim(
        Statement(Study.UNCONDITIONAL, text, "§ C.4, Table 5", "same order"), rf, rf_lzn, results
    )
    text = f"RF+LZN is better at most numbers of Euler steps{where}"
    yield steps_claim(Statement(Study.UNCONDITIONAL, text, "§ C.4, Figure 17", "most"), rf, rf_lzn, results)


def _of_missing_data(missing: list[str]) -> Claim:
    columns, numbers = paper_table("table1_unconditional")
    pairs = {DATA_SETS[data]: paper_pair(numbers[data], columns, "fid") for data in missing}
    worse = [name for name, (rf, rf_lzn) in pairs.items() if rf_lzn > rf]
    paper = ", ".join(f"{name} {rf:g} → {rf_lzn:g}" for name, (rf, rf_lzn) in pairs.items())
    text = "RF+LZN has a better FID than RF on the other data sets" + (
        f", except {', '.join(worse)}" if worse else ""
    )
    return Statement(Study.UNCONDITIONAL, text, "§ 3, Table 1", paper).not_measurable(
        "this size has neither these data nor networks of 65 million parameters"
    )
