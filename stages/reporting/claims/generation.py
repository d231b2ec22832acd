"""Claims of section 3 and appendix C.4: unconditional generation."""

from collections.abc import Iterator, Mapping, Sequence

from lzn.base.number_format import with_deviation
from stages.measuring.quantity import Quantity
from stages.reporting.claims.claim import Claim, Statement, share_of_gains
from stages.reporting.claims.measured import find, gains_along_steps, gains_in_metrics, unit
from stages.reporting.results import Results
from stages.reporting.tables.gap import NO_GAP, our_gaps, paper_gap
from stages.reporting.tables.names import COLUMNS, DATA_SETS, NEEDS_CLIP, NEEDS_INCEPTION
from stages.reporting.tables.numbers import paper_numbers
from stages.reporting.tables.params import TablesParams
from stages.reporting.verdict import Better, gain

STUDY = "Unconditional generation"
NOT_SET = "no runs of this size stand for it"
IMPLEMENTATIONS = ("fid", "fid_rf", "fid_clean")


def generation_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Data set by data set; data that the paper does not have stand beside its CIFAR10."""
    for data, runs in params.unconditional.items():
        if {"rf", "rf_lzn"} <= runs.keys():
            yield from _of_data_set(data, runs["rf"], runs["rf_lzn"], results)
    missing = [
        data for data in paper_numbers()["table1_unconditional"] if data in DATA_SETS and data != "cifar10"
    ]
    missing = [data for data in missing if data not in params.unconditional]
    if missing:
        yield _of_missing_data(missing)
    yield from _of_the_gap(params, results)


def paper_pair(table: Mapping[str, list[float]], columns: list[str], metric: str) -> tuple[float, float]:
    """The paper's numbers of RF and RF+LZN."""
    position = columns.index(metric)
    return table["rf"][position], table["rf_lzn"][position]


def image_claim(
    study: str,
    metric: str,
    *,
    numbers: tuple[float, float],
    where: str,
    source: str,
    runs: tuple[str, str],
    results: Results,
) -> Claim:
    """That RF+LZN is better, or worse, in a metric, as the paper's numbers say."""
    rf, rf_lzn = numbers
    better: Better = COLUMNS[metric].better or "lower"
    named = {
        "recon": "reconstructs images better",
        "fid": "has a better FID",
        "cmmd": "has a better CMMD",
    }[metric]
    paper_agrees = (rf_lzn < rf) == (better == "lower")
    text = (
        f"RF+LZN {named} than RF{where}"
        if paper_agrees
        else f"RF+LZN {named.replace('better', 'worse')}{where}"
    )
    direction: Better = better if paper_agrees else ("higher" if better == "lower" else "lower")
    reason = {"fid": NEEDS_INCEPTION, "cmmd": NEEDS_CLIP}.get(metric, "not measured")
    return Statement(study, text, source, f"{rf:g} → {rf_lzn:g}").compared(
        find(results, runs[0], metric),
        find(results, runs[1], metric),
        direction,
        note=f"Difference in {unit(results, runs[0], metric)}.",
        otherwise=reason,
    )


def implementations_claim(statement: Statement, rf: str, rf_lzn: str, results: Results) -> Claim:
    """That three implementations of FID rank RF and RF+LZN alike."""
    before, after = results.measured(rf), results.measured(rf_lzn)
    if not all(name in before and name in after for name in IMPLEMENTATIONS):
        return statement.not_measurable(NEEDS_INCEPTION)
    gains = [gain(after[name], before[name], "lower") for name in IMPLEMENTATIONS]
    found = [one for one in gains if one is not None]
    if len(found) < len(IMPLEMENTATIONS):
        return statement.not_measurable("the runs have no seed in common")
    sign = 1.0 if found[0].mean > 0 else -1.0
    smallest = Quantity({seed: min(sign * one.by_seed[seed] for one in found) for seed in found[0].by_seed})
    ours = ", ".join(with_deviation(one.mean, one.std) for one in found)
    note = "Gains in FID (CM, RF, clean); judged is the smallest, counted in the direction of the first."
    return statement.judged(smallest, ours=ours, above=0, note=note)


def steps_claim(statement: Statement, rf: str, rf_lzn: str, results: Results) -> Claim:
    """That RF+LZN has the lower distance at most numbers of Euler steps."""
    if not (results.has("steps", rf) and results.has("steps", rf_lzn)):
        return statement.not_measurable("the stage steps does not run at this size")
    gains = gains_along_steps(results, rf, rf_lzn)
    return _most(
        statement,
        list(gains.values()),
        f"Percent of numbers of steps ({', '.join(map(str, gains))}) in which it is lower.",
    )


def _most(statement: Statement, gains: Sequence[Quantity], note: str) -> Claim:
    share = share_of_gains(gains)
    if share is None:
        return statement.not_measurable("the runs have no number in common")
    better = sum(one.mean > 0 for one in gains)
    ours = f"{better} of {len(gains)} (means over seeds)"
    return statement.judged(share, ours=ours, above=50, note=note)


def _of_data_set(data: str, rf: str, rf_lzn: str, results: Results) -> Iterator[Claim]:
    numbers = paper_numbers()["table1_unconditional"]
    columns = numbers["columns"]
    like = data if data in numbers else "cifar10"
    where = f" ({DATA_SETS[data]})" if data in DATA_SETS else ""
    source = f"§ 3, Table 1, {DATA_SETS[like]}"
    runs = (rf, rf_lzn)
    for metric in ("fid", "recon", "cmmd"):
        pair = paper_pair(numbers[like], columns, metric)
        yield image_claim(STUDY, metric, numbers=pair, where=where, source=source, runs=runs, results=results)
    yield _most(
        Statement(
            STUDY, f"RF+LZN is better in most metrics{where}", source, _count_better(numbers[like], columns)
        ),
        list(gains_in_metrics(results, rf, rf_lzn).values()),
        "Percent of the metrics measured here in which it is better; the paper's ties count as not better.",
    )
    yield implementations_claim(
        Statement(
            STUDY, f"Three implementations of FID rank RF and RF+LZN alike{where}", "§ C.4, Table 5", "alike"
        ),
        rf,
        rf_lzn,
        results,
    )
    yield steps_claim(
        Statement(
            STUDY, f"RF+LZN is better at most numbers of Euler steps{where}", "§ C.4, Figure 17", "most"
        ),
        rf,
        rf_lzn,
        results,
    )


def _count_better(table: Mapping[str, list[float]], columns: list[str]) -> str:
    better = 0
    for metric in columns:
        rf, rf_lzn = paper_pair(table, columns, metric)
        better += rf_lzn < rf if COLUMNS[metric].better == "lower" else rf_lzn > rf
    return f"{better} of {len(columns)}"


def _of_missing_data(missing: list[str]) -> Claim:
    numbers = paper_numbers()["table1_unconditional"]
    names = ", ".join(DATA_SETS[data] for data in missing)
    pairs = {data: paper_pair(numbers[data], numbers["columns"], "fid") for data in missing}
    paper = ", ".join(f"{rf:g} → {rf_lzn:g}" for rf, rf_lzn in pairs.values())
    text = f"The FID of RF+LZN on the other data sets ({names}): better but for CelebA-HQ"
    return Statement(STUDY, text, "§ 3, Table 1", paper).not_measurable(
        "these data and networks of 65 million parameters are not part of this size"
    )


def _of_the_gap(params: TablesParams, results: Results) -> Iterator[Claim]:
    closed = paper_gap().closed
    assert closed is not None
    statement = Statement(
        STUDY,
        "Without being told classes, RF+LZN closes a part of the gap in FID between unconditional and conditional RF",
        "§ 1, § 3",
        f"{closed.mean:.0f} %",
    )
    gaps = our_gaps(params, results)
    for data, gap in gaps.items():
        if gap.closed is None:
            yield statement.not_measurable(NO_GAP)
        else:
            ours = f"{with_deviation(gap.closed.mean, gap.closed.std)} %"
            yield statement.judged(
                gap.closed, ours=ours, above=0, note=f"Percent of the gap in {gap.distance} of {data}."
            )
    if not gaps:
        yield statement.not_measurable(NOT_SET)
    for _, _, rf_lzn, conditional in params.gaps():
        paper = paper_numbers()
        recon = paper["table1_unconditional"]["columns"].index("recon")
        before = paper["table4_conditional_cifar10"]["rf"][recon]
        after = paper["table1_unconditional"]["cifar10"]["rf_lzn"][recon]
        text = "Without being told classes, RF+LZN reconstructs better than conditional RF"
        yield Statement(STUDY, text, "§ 3, Tables 1 and 4", f"{before:g} → {after:g}").compared(
            find(results, conditional, "recon"),
            find(results, rf_lzn, "recon"),
            "lower",
            note="Difference in reconstruction error.",
            otherwise="not measured",
        )
        return
