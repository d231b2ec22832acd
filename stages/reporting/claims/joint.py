"""Claims of section 5 and appendix E.4: conditional generation and classification together."""

from collections.abc import Iterator

from stages.measuring.quantity import Quantity
from stages.reporting.claims.claim import NO_RUNS, Claim, Statement, Study, arrow
from stages.reporting.claims.image_claims import (
    BETTER_IN,
    image_claim,
    implementations_claim,
    paper_pair,
    steps_claim,
)
from stages.reporting.claims.metrics_of_runs import find, unit
from stages.reporting.results import Results
from stages.reporting.tables.paper_numbers import paper_numbers, paper_table
from stages.reporting.tables.tables_params import TablesParams


def joint_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims about generation, then those about classification."""
    runs = params.conditional
    if {"rf", "rf_lzn"} <= runs.keys():
        yield from _conditional(runs["rf"], runs["rf_lzn"], results)
        yield _joint_images(params, runs["rf_lzn"], results)
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
    text = "Three implementations of FID rank conditional RF and RF+LZN in the same order"
    yield implementations_claim(
        Statement(Study.CONDITIONAL, text, "§ E.4, Table 7", "same order"), rf, rf_lzn, results
    )
    text = "Conditional RF+LZN is better at most numbers of Euler steps"
    yield steps_claim(Statement(Study.CONDITIONAL, text, "§ E.4, Figure 24", "most"), rf, rf_lzn, results)


def _joint_images(params: TablesParams, joint: str, results: Results) -> Claim:
    paper = paper_numbers()
    before = paper["table1_unconditional"]["cifar10"]["rf_lzn"][0]
    after = paper["table4_conditional_cifar10"]["rf_lzn"][0]
    text = "Joint training improves generation: RF+LZN has a better FID with labels than without"
    statement = Statement(Study.CONDITIONAL, text, "§ 5, Tables 1 and 4", f"{before:g} → {after:g}")
    alone = params.unconditional.get(results.data_of(joint), {}).get("rf_lzn")
    return statement.compared(
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
    yield Statement(Study.CLASSIFICATION, text, "§ 5, Table 3", f"{alone:g} → {joint:g} %").compared(
        _accuracy(results, params.classification.get("rf_lzn_no_gen")),
        _accuracy(results, params.classification.get("rf_lzn")),
        "higher",
        note="Difference in test accuracy, percentage points.",
        unit=" %",
        missing=NO_RUNS,
    )
    little = joint - alone
    u20, u5 = (paper_numbers()["table8_alignment_cutoff"][name][-1] for name in ("rf_lzn_u20", "rf_lzn_u5"))
    text = "The number u of early steps left out hardly matters for accuracy (u = 20 → u = 5)"
    statement = Statement(Study.CLASSIFICATION, text, "§ E.4, Table 8", f"{u20:g} → {u5:g} %")
    before, after = (_accuracy(results, params.cutoff.get(name)) for name in ("rf_lzn_u20", "rf_lzn_u5"))
    change = None if before is None or after is None else after.minus(before)
    if before is None or after is None or change is None:
        yield statement.not_measurable(NO_RUNS)
        return
    note = (
        f"Change of the accuracy, percentage points. Hardly means: less than the {little:.2f} points that joint "
        "training gains in the paper."
    )
    yield statement.judged(change, ours=f"{arrow(before, after)} %", above=-little, below=little, note=note)


def _best_classifiers(params: TablesParams, results: Results) -> Claim:
    paper = paper_numbers()["table3_cifar10_accuracy"]
    best = max(value for name, value in paper.items() if not name.startswith("rf_lzn"))
    text = "Accuracy is within about 1 point of the best classifier of table 3"
    statement = Statement(
        Study.CLASSIFICATION, text, "§ 5, Table 3", f"{paper['rf_lzn']:g} against {best:g} %"
    )
    run = params.classification.get("rf_lzn")
    accuracy = _accuracy(results, run)
    if run is None or accuracy is None:
        return statement.not_measurable(NO_RUNS)
    if results.data_of(run) != "cifar10":
        return statement.not_measurable(
            "the methods of table 3 are not trained here; the paper's numbers are for CIFAR10"
        )
    note = "Test accuracy compared with the published numbers, percent."
    return statement.judged(accuracy, ours=f"{accuracy.text} %", above=best - 1, note=note)


def _alignment(params: TablesParams, results: Results) -> Claim:
    least = 100 * paper_numbers()["claims"]["training_alignment_accuracy_cs3_above"]
    text = "Latents of training images arrive at the anchors of their labels: training alignment accuracy is high"
    statement = Statement(Study.CLASSIFICATION, text, "reviews", f"> {least:g} %")
    run = params.classification.get("rf_lzn")
    if run is None or not results.is_trained(run):
        return statement.not_measurable("no run of case study 3 was trained here")
    found = results.end_of_training(run)["alignment_accuracy"].times(100)
    note = "Mean over the last tenth of training, percent."
    return statement.judged(found, ours=f"{found.text} %", above=least, note=note)
