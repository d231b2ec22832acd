"""Claims of section 4 and appendix D.4: unsupervised representations."""

import math
from collections.abc import Iterator, Mapping

from stages.measuring.quantity import Quantity, flatten_quantities, seed_by_seed
from stages.reporting.claims.claim import NO_RUNS, Claim, Statement, Study
from stages.reporting.metrics import METRICS
from stages.reporting.results import Results
from stages.reporting.sweeps import accuracies_along_training, inner
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.tables_params import TablesParams

SMALL = 0.5
"""The deviation of a class is small if it is below this share of the deviation of all points."""
FIGURE_19 = (
    ("Of the four representations, latents are the worst", "with_latent", None),
    ("Latents at alpha = 0 are better than latents at alpha = 1", "with_latent", "with_latent_alpha_0"),
    ("Without the head is better than with it", "with_head", "without_head"),
)
"""Statement, the worse representation, the better one; None: all others."""


def representation_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims on other methods, the four representations, accuracy along training, and clusters."""
    yield from _against_other_methods(params, results)
    yield from _of_figure_19(params, results)
    yield _still_improving(params, results)
    yield _clusters(params, results)


def _against_other_methods(params: TablesParams, results: Results) -> Iterator[Claim]:
    rows = paper_numbers()["table2_linear_probe_imagenet_resnet50"]["rows"]
    lzn = rows["LZN"]["values"][0]
    run = params.linear_probe
    for name in ("MoCo", "SimCLR"):
        other = rows[name]["values"][0]
        text = f"A linear classifier is more accurate on LZN's representations than on {name}'s"
        statement = Statement(Study.REPRESENTATIONS, text, "§ 4, Table 2", f"{other:g} → {lzn:g} %")
        if run is None:
            yield statement.not_measurable(NO_RUNS)
        elif results.data_of(run) != "imagenet":
            yield statement.not_measurable(
                "the other methods are not trained here; the paper's numbers are for ImageNet"
            )
        elif waiting := statement.waiting(results, "probe", run):
            yield waiting
        else:
            found = _top1(results, run)["without_head"]
            note = "Top-1 accuracy compared with the published number, percent."
            yield statement.judged(found, ours=f"{found.text} %", above=other, note=note)


def _top1(results: Results, run: str) -> Mapping[str, Quantity]:
    """Return top-1 accuracies of the trained encoder's representations in percent."""
    found = flatten_quantities(inner(results.nested("probe", run), "trained"))
    return {
        name.removesuffix(".top1"): METRICS["top1"].shown(value)
        for name, value in found.items()
        if name.endswith(".top1")
    }


def _of_figure_19(params: TablesParams, results: Results) -> Iterator[Claim]:
    run = params.representations
    top1 = {} if run is None or not results.has("probe", run) else _top1(results, run)
    for text, worse, better in FIGURE_19:
        statement = Statement(
            Study.REPRESENTATIONS, text, "§ D.4, Figure 19", "better" if better else "worst"
        )
        if not top1:
            yield statement.waiting(results, "probe", run) or statement.not_measurable(NO_RUNS)
            continue
        others = [top1[name] for name in ([better] if better else top1.keys() - {worse})]
        smallest = seed_by_seed(min, others)
        other = "" if better else " to the next worst representation"
        note = f"Difference in top-1 accuracy{other}, percentage points."
        yield statement.compared(top1[worse], smallest, "higher", note=note, missing=NO_RUNS, unit=" %")


def _still_improving(params: TablesParams, results: Results) -> Claim:
    text = "Accuracy still improves at the end of training"
    statement = Statement(Study.REPRESENTATIONS, text, "§ D.4, Figure 20", "improving")
    run = params.linear_probe
    curve = [] if run is None else list(accuracies_along_training(run, results).items())
    if len(curve) < 2:
        reason = "the run has no snapshots of its training"
        return statement.waiting(results, "probe", run) or statement.not_measurable(reason)
    (earlier, before), (last, after) = curve[-2:]
    note = f"Difference in top-1 accuracy between steps {earlier} and {last}, percentage points."
    return statement.compared(before, after, "higher", note=note, missing=NO_RUNS, unit=" %")


def _clusters(params: TablesParams, results: Results) -> Claim:
    paper = paper_numbers()["tsne_imagenet"]
    of_classes = [(std_1 + std_2) / 2 for _, std_1, _, std_2 in paper["classes"].values()]
    of_paper = math.fsum(of_classes) / len(of_classes) / ((paper["all"][1] + paper["all"][3]) / 2)
    text = (
        "Classes are clusters in the t-SNE plane: their deviations are small compared with that of all points"
    )
    statement = Statement(Study.REPRESENTATIONS, text, "§ D.4, Figure 18, reviews", f"{100 * of_paper:.0f} %")
    run = params.linear_probe
    if run is None or not results.has("tsne", run):
        return statement.waiting(results, "tsne", run) or statement.not_measurable(NO_RUNS)
    relative = results.flat("tsne", run).get("relative_std")
    if relative is None:
        return statement.not_measurable("all points of the t-SNE plane are equal")
    share = relative.times(100)
    note = f"Mean deviation of the classes in percent of that of all points. Small means: below {100 * SMALL:g} %."
    return statement.judged(share, ours=f"{share.text} %", below=100 * SMALL, note=note)
