"""Claims of section 5 and appendix E.4: conditional generation and classification together."""

from collections.abc import Iterator

from stages.measuring.quantity import Quantity, seed_by_seed
from stages.reporting.claims.claim import NO_RUNS, Claim, Statement, Study, arrow
from stages.reporting.claims.image_claims import (
    BETTER_IN,
    count_better,
    image_claim,
    implementations_claim,
    most_metrics_claim,
    paper_pair,
    steps_claim,
)
from stages.reporting.claims.metrics_of_runs import find, gains_in_metrics, unit
from stages.reporting.results import Results
from stages.reporting.tables.paper_numbers import paper_numbers, paper_table
from stages.reporting.tables.tables_params import TablesParams

MATCHES = 1.0
"""Percent by which a number may be worse that matches another: the rounding of 0.58, the paper's recall, is 0.9 %."""


def joint_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims about generation, then those about classification."""
    runs = params.conditional
    if {"rf", "rf_lzn"} <= runs.keys():
        yield from _conditional(runs["rf"], runs["rf_lzn"], results)
        yield _joint_images(params, runs["rf_lzn"], results)
    yield _small_cutoff(params, results)
    yield from _accuracies(params, results)
    yield _best_classifiers(params, results)
    yield _alignment(params, results)


def _conditional(rf: str, rf_lzn: str, results: Results) -> Iterator[Claim]:
    columns, numbers = paper_table("table4_conditional_cifar10")
    for metric in BETTER_IN:
        yield image_claim(
            Study.CONDITIONAL,
            metric,
            numbers=paper_pair(numbers, columns, metric),
            kind="conditional ",
            source="§ 5, Table 4",
            runs=(rf, rf_lzn),
            results=results,
        )
    yield _nowhere_worse(rf, rf_lzn, results)
    text = "Three implementations of FID rank conditional RF and RF+LZN in the same order"
    yield implementations_claim(
        Statement(Study.CONDITIONAL, text, "§ E.4, Table 7", "same order"), rf, rf_lzn, results
    )
    text = "Conditional RF+LZN is better at most numbers of Euler steps"
    yield steps_claim(Statement(Study.CONDITIONAL, text, "§ E.4, Figure 24", "most"), rf, rf_lzn, results)


def _nowhere_worse(rf: str, rf_lzn: str, results: Results) -> Claim:
    text = "Conditional RF+LZN improves or matches conditional RF in all metrics"
    statement = Statement(Study.CONDITIONAL, text, "§ 5, Table 4", "all metrics")
    if waiting := statement.waiting(results, "measure", rf, rf_lzn):
        return waiting
    before = results.flat("measure", rf)
    relative = {
        name: seed_by_seed(lambda values: 100 * values[0] / abs(values[1]), [gained, before[name]])
        for name, gained in gains_in_metrics(results, rf, rf_lzn).items()
        if min(map(abs, before[name].values)) > 0
    }
    found = {name: one for name, one in relative.items() if one is not None}
    smallest = seed_by_seed(min, list(found.values()))
    if smallest is None:
        return statement.not_measurable("the runs have no numbers in common")
    better = sum(one.mean > -MATCHES for one in found.values())
    note = (
        f"The smallest of the relative gains in {len(found)} metrics, percent. Matches means: less than {MATCHES:g} % "
        "worse, which is the rounding of the paper's precision and recall."
    )
    ours = f"{better} of {len(found)} (means over seeds)"
    return statement.judged(smallest, ours=ours, above=-MATCHES, note=note)


def _joint_images(params: TablesParams, joint: str, results: Results) -> Claim:
    paper = paper_numbers()
    before = paper["table1_unconditional"]["cifar10"]["rf_lzn"][0]
    after = paper["table4_conditional_cifar10"]["rf_lzn"][0]
    text = "Joint training improves generation: RF+LZN has a better FID with labels than without"
    statement = Statement(Study.CONDITIONAL, text, "§ 5, Tables 1 and 4", f"{before:g} → {after:g}")
    alone = params.unconditional.get(results.data_of(joint), {}).get("rf_lzn")
    return statement.waiting(results, "measure", alone, joint) or statement.compared(
        find(results, alone, "fid"),
        find(results, joint, "fid"),
        "lower",
        note=f"Difference in {unit(results, joint, 'fid')}.",
        missing=NO_RUNS,
    )


def _accuracy(results: Results, run: str | None) -> Quantity | None:
    return results.accuracy(run) if run is not None and results.has("classify", run) else None


def _accuracies(params: TablesParams, results: Results) -> Iterator[Claim]:
    paper = paper_numbers()["table3_cifar10_accuracy"]
    alone, joint = paper["rf_lzn_no_gen"], paper["rf_lzn"]
    text = "Joint training improves classification: more accurate with generation than without"
    runs = [params.classification.get(name) for name in ("rf_lzn_no_gen", "rf_lzn")]
    statement = Statement(Study.CLASSIFICATION, text, "§ 5, Table 3", f"{alone:g} → {joint:g} %")
    before, after = (_accuracy(results, run) for run in runs)
    yield statement.waiting(results, "classify", *runs) or statement.compared(
        before,
        after,
        "higher",
        note="Difference in test accuracy, percentage points.",
        unit=" %",
        missing=NO_RUNS,
    )
    little = joint - alone
    u20, u5 = (paper_numbers()["table8_alignment_cutoff"][name][-1] for name in ("rf_lzn_u20", "rf_lzn_u5"))
    text = "The number u of early steps left out hardly matters for accuracy (u = 20 → u = 5)"
    statement = Statement(Study.CLASSIFICATION, text, "§ E.4, Table 8", f"{u20:g} → {u5:g} %")
    runs = [params.cutoff.get(name) for name in ("rf_lzn_u20", "rf_lzn_u5")]
    before, after = (_accuracy(results, run) for run in runs)
    change = None if before is None or after is None else after.minus(before)
    if before is None or after is None or change is None:
        yield statement.waiting(results, "classify", *runs) or statement.not_measurable(NO_RUNS)
        return
    note = (
        f"Change of the accuracy, percentage points. Hardly means: less than the {little:.2f} points that joint "
        "training gains in the paper."
    )
    yield statement.judged(change, ours=f"{arrow(before, after)} %", above=-little, below=little, note=note)


def _small_cutoff(params: TablesParams, results: Results) -> Claim:
    columns, numbers = paper_table("table8_alignment_cutoff")
    text = "With u = 5, RF+LZN is still better than conditional RF in most metrics"
    paper = f"most ({count_better(numbers, columns, 'rf_lzn_u5')} in the table)"
    statement = Statement(Study.CONDITIONAL, text, "§ E.4, Table 8", paper)
    rf, u5 = params.cutoff.get("rf"), params.cutoff.get("rf_lzn_u5")
    if rf is None or u5 is None:
        return statement.not_measurable(NO_RUNS)
    return most_metrics_claim(statement, rf, u5, results)


def _best_classifiers(params: TablesParams, results: Results) -> Claim:
    paper = paper_numbers()["table3_cifar10_accuracy"]
    best = max(value for name, value in paper.items() if not name.startswith("rf_lzn"))
    text = "Accuracy is within about 1 point of the best classifier of table 3"
    statement = Statement(
        Study.CLASSIFICATION, text, "§ 5, Table 3", f"{paper['rf_lzn']:g} against {best:g} %"
    )
    run = params.classification.get("rf_lzn")
    accuracy = _accuracy(results, run)
    if run is not None and results.data_of(run) != "cifar10":
        return statement.not_measurable(
            "the methods of table 3 are not trained here; the paper's numbers are for CIFAR10"
        )
    if accuracy is None:
        return statement.waiting(results, "classify", run) or statement.not_measurable(NO_RUNS)
    note = "Test accuracy compared with the published numbers, percent."
    return statement.judged(accuracy, ours=f"{accuracy.text} %", above=best - 1, note=note)


def _alignment(params: TablesParams, results: Results) -> Claim:
    least = 100 * paper_numbers()["claims"]["training_alignment_accuracy_cs3_above"]
    text = "Latents of training images arrive at the anchors of their labels: training alignment accuracy is high"
    statement = Statement(Study.CLASSIFICATION, text, "reviews", f"> {least:g} %")
    run = params.classification.get("rf_lzn")
    if run is not None and not results.configurations(run):
        return statement.not_run_yet((f"train@{run}",))
    if run is None or not results.is_trained(run):
        return statement.not_measurable("no run of case study 3 was trained here")
    found = results.end_of_training(run)["alignment_accuracy"].times(100)
    note = "Mean over the last tenth of training, percent."
    return statement.judged(found, ours=f"{found.text} %", above=least, note=note)
