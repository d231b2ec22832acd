"""Made-up numbers for each claim of the paper, which give a chosen judged number."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lzn_testing.projects.claims_of_runs import ENCODING
from lzn_testing.projects.numbers_of_runs import NumbersOfRuns, over_seeds

Write = Callable[[NumbersOfRuns, Sequence[float]], None]
"""Writes numbers for which the judged number of each seed is the one given."""


@dataclass(frozen=True)
class Judged:
    """A claim about one number.

    Attributes:
        write: writes numbers for the claim.
        paper: the paper's numbers as the claim shows them.
        ours: our numbers as the claim shows them if the judged number of the only seed is ``shown``.
        above: the claim says that the judged number is above this,
        below: and below this.
        shown: see ``ours``.
    """

    write: Write
    paper: str
    ours: str
    above: float = -math.inf
    below: float = math.inf
    shown: float = 2.0


def metric(rf: str, rf_lzn: str, name: str, *, worse: bool = False) -> Write:
    """Return a writer of a metric of which lower numbers are better, about 50 for RF; worse: the claim says so."""

    def write(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
        before = [50.0 + 10 * seed for seed in range(len(gains))]
        sign = 1 if worse else -1
        after = [value + sign * gained for value, gained in zip(before, gains, strict=True)]
        numbers.write("measure", rf, over_seeds(**{name: before}))
        numbers.write("measure", rf_lzn, over_seeds(**{name: after}))

    return write


def gap_closed(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write FIDs of unconditional RF (10, 13, …) and conditional RF (6, 8, …), and of RF+LZN between them."""
    rf = [10.0 + 3 * seed for seed in range(len(percentages))]
    conditional = [6.0 + 2 * seed for seed in range(len(percentages))]
    rf_lzn = [
        high - share / 100 * (high - low)
        for high, low, share in zip(rf, conditional, percentages, strict=True)
    ]
    for run, values in (("rf", rf), ("rf_conditional", conditional), ("rf_lzn", rf_lzn)):
        numbers.write("measure", run, over_seeds(fid=values))


def top1(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write the accuracies without the head; those of the other representations and encoders are 99 %."""
    best = {"top1": 0.99}
    numbers.write(
        "probe",
        "representation",
        [
            {
                "trained": {"without_head": {"top1": p / 100}, "with_head": best},
                "untrained": {"without_head": best},
            }
            for p in percentages
        ],
    )


def figure_19(better: str, worse: str) -> Write:
    """Return a writer of the four representations; ``better`` is 70 %, the best 90 %."""

    def write(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
        others = {"without_head": 90, "with_head": 80, "with_latent_alpha_0": 75, "with_latent": 60}
        seeds: list[Mapping[str, float]] = [others | {better: 70, worse: 70 - gained} for gained in gains]
        measured = [{name: {"top1": value / 100} for name, value in seed.items()} for seed in seeds]
        numbers.write("probe", "small_representation", [{"trained": one} for one in measured])

    return write


def last_improvement(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
    """Write accuracies at four snapshots, 30 % at the first and 60 % at the last but one (step 200)."""
    without_head = {"without_head": {"top1": 0.5}}
    curves = [{"1000": 60 + gained, "0": 30, "200": 60, "50": 70} for gained in gains]
    measured = [{step: {"top1": value / 100} for step, value in curve.items()} for curve in curves]
    numbers.write(
        "probe", "representation", [{"along_training": one, "trained": without_head} for one in measured]
    )


def clusters(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write relative deviations of the classes."""
    numbers.write("tsne", "representation", over_seeds(relative_std=[value / 100 for value in percentages]))


def accuracy(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write test accuracies of the joint training."""
    numbers.write("classify", "joint", over_seeds(accuracy=[value / 100 for value in percentages]))


def accuracy_gain(before: str, after: str) -> Write:
    """Return a writer of the accuracies of two runs; that of the first is 90 %."""

    def write(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
        numbers.write("classify", before, over_seeds(accuracy=[0.9 for _ in gains]))
        numbers.write("classify", after, over_seeds(accuracy=[0.9 + gained / 100 for gained in gains]))

    return write


def alignment(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write curves of 20 rows that rise to 100 % and fall; the last two have the mean given, the last is lower."""
    curves = []
    for end in percentages:
        values = [*(50.0 + 50 * row / 17 for row in range(18)), end + 3, end - 3]
        rows = [{"step": float(row), "skipped_steps": 0.0} for row in range(20)]
        curves.append([row | {"alignment_accuracy": v / 100} for row, v in zip(rows, values, strict=True)])
    numbers.train("joint", "cifar10", curves=curves, num_seeds=len(percentages))


def _settings(numbers: NumbersOfRuns, grids: Sequence[Mapping[int, Mapping[float, float]]]) -> None:
    """Write accuracies in percent by batch size, then by alpha."""
    by_name = [
        {"accuracy": {str(size): {str(a): p / 100 for a, p in row.items()} for size, row in grid.items()}}
        for grid in grids
    ]
    numbers.write("settings", "joint", by_name)


def batch_sizes(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
    """Write accuracies of the batch sizes 32, 128 and 360; the mean over alpha is 80 % for 32, 50 % for 128."""
    _settings(
        numbers,
        [{360: {0.0: 86 + g, 1.0: 74 + g}, 128: {0.0: 60, 1.0: 40}, 32: {0.0: 81, 1.0: 79}} for g in gains],
    )


def alphas(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
    """Write accuracies of the alphas 0, 0.5 and 1; the mean over batch sizes is 80 % for 1, 50 % for 0.5."""
    _settings(
        numbers,
        [{128: {1.0: 81, 0.5: 60, 0.0: 86 + g}, 32: {1.0: 79, 0.5: 40, 0.0: 74 + g}} for g in gains],
    )


def best_setting(numbers: NumbersOfRuns, gains: Sequence[float]) -> None:
    """Write 80 % for the setting of training (128, alpha = 1); 32 with alpha = 0.5 is the best of the others."""
    _settings(
        numbers,
        [{32: {0.5: 80 + g, 1.0: 10}, 128: {0.5: 20, 1.0: 80}, 360: {0.5: 30, 1.0: 40}} for g in gains],
    )


def zones(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write shares of two runs, 5 points above and below the mean given."""
    for run, offset in zip(ENCODING, (5, -5), strict=True):
        shares = [{"redrawn_batch": {"share": (value + offset) / 100}} for value in percentages]
        numbers.write("zones", run, shares)


def relative_gain(numbers: NumbersOfRuns, percentages: Sequence[float]) -> None:
    """Write FIDs of conditional RF (100) and of RF+LZN, lower by these percentages, and a recall that is 9 % better."""
    fids = [100.0 for _ in percentages]
    numbers.write("measure", "rf_conditional", over_seeds(fid=fids, recall=[0.5 for _ in fids]))
    numbers.write(
        "measure", "joint", over_seeds(fid=[100 - p for p in percentages], recall=[0.545 for _ in fids])
    )


JUDGED = {
    "RF+LZN has a better FID than RF (CIFAR10)": Judged(
        metric("rf", "rf_lzn", "fid"), "2.76 → 2.59", "50 → 48", above=0
    ),
    "RF+LZN reconstructs images better than RF (CIFAR10)": Judged(
        metric("rf", "rf_lzn", "reconstruction"), "0.83 → 0.41", "50 → 48", above=0
    ),
    "RF+LZN has a better CMMD than RF (CIFAR10)": Judged(
        metric("rf", "rf_lzn", "cmmd"), "0.036 → 0.0355", "50 → 48", above=0
    ),
    "RF+LZN has a worse FID than RF (CelebA-HQ)": Judged(
        metric("rf_faces", "rf_lzn_faces", "fid", worse=True), "6.95 → 7.17", "50 → 52", above=0
    ),
    "RF+LZN reconstructs images better than RF (CelebA-HQ)": Judged(
        metric("rf_faces", "rf_lzn_faces", "reconstruction"), "26.2 → 15.9", "50 → 48", above=0
    ),
    "RF+LZN has a better CMMD than RF (CelebA-HQ)": Judged(
        metric("rf_faces", "rf_lzn_faces", "cmmd"), "1.0276 → 0.4901", "50 → 48", above=0
    ),
    "Unconditional RF+LZN closes a part of the gap in FID between unconditional and conditional RF": Judged(
        gap_closed, "59 %", "2 %", above=0
    ),
    "Unconditional RF+LZN has a better sFID than conditional RF": Judged(
        metric("rf_conditional", "rf_lzn", "sfid"), "4.05 → 3.95", "50 → 48", above=0
    ),
    "Conditional RF+LZN improves or matches conditional RF in all metrics": Judged(
        relative_gain, "all metrics", "2 of 2 (means over seeds)", above=-1
    ),
    "Unconditional RF+LZN reconstructs better than conditional RF": Judged(
        metric("rf_conditional", "rf_lzn", "reconstruction"), "0.69 → 0.41", "50 → 48", above=0
    ),
    "A linear classifier is more accurate on LZN's representations than on MoCo's": Judged(
        top1, "60.2 → 69.5 %", "61 %", above=60.2, shown=61
    ),
    "A linear classifier is more accurate on LZN's representations than on SimCLR's": Judged(
        top1, "69.3 → 69.5 %", "70 %", above=69.3, shown=70
    ),
    "Of the four representations, latents are the worst": Judged(
        figure_19("with_latent_alpha_0", "with_latent"), "worst", "68 → 70 %", above=0
    ),
    "Latents at alpha = 0 are better than latents at alpha = 1": Judged(
        figure_19("with_latent_alpha_0", "with_latent"), "better", "68 → 70 %", above=0
    ),
    "Without the head is better than with it": Judged(
        figure_19("without_head", "with_head"), "better", "68 → 70 %", above=0
    ),
    "Accuracy still improves at the end of training": Judged(
        last_improvement, "improving", "60 → 62 %", above=0
    ),
    "Classes are clusters in the t-SNE plane: their deviations are small compared with that of all points": Judged(
        clusters, "25 %", "2 %", below=50
    ),
    "Conditional RF+LZN has a better FID than conditional RF": Judged(
        metric("rf_conditional", "joint", "fid"), "2.47 → 2.4", "50 → 48", above=0
    ),
    "Conditional RF+LZN reconstructs images better than conditional RF": Judged(
        metric("rf_conditional", "joint", "reconstruction"), "0.69 → 0.38", "50 → 48", above=0
    ),
    "Conditional RF+LZN has a better CMMD than conditional RF": Judged(
        metric("rf_conditional", "joint", "cmmd"), "0.0253 → 0.0229", "50 → 48", above=0
    ),
    "Joint training improves generation: RF+LZN has a better FID with labels than without": Judged(
        metric("rf_lzn", "joint", "fid"), "2.59 → 2.4", "50 → 48", above=0
    ),
    "Joint training improves classification: more accurate with generation than without": Judged(
        accuracy_gain("joint_no_gen", "joint"), "93.59 → 94.47 %", "90 → 92 %", above=0
    ),
    "The number u of early steps left out hardly matters for accuracy (u = 20 → u = 5)": Judged(
        accuracy_gain("joint", "joint_u5"),
        "94.47 → 94.42 %",
        "90 → 90.5 %",
        above=-0.88,
        below=0.88,
        shown=0.5,
    ),
    "Accuracy is within about 1 point of the best classifier of table 3": Judged(
        accuracy, "94.47 against 95.47 %", "95 %", above=94.47, shown=95
    ),
    "Latents of training images arrive at the anchors of their labels: training alignment accuracy is high": Judged(
        alignment, "> 95 %", "96 %", above=95, shown=96
    ),
    "Larger batches classify better": Judged(batch_sizes, "better", "80 → 82 %", above=0),
    "Smaller alpha classifies better": Judged(alphas, "better", "80 → 82 %", above=0),
    "The best batch size and alpha are better than those of training with alpha = 1": Judged(
        best_setting, "+2.9 points", "80 → 82 %", above=0
    ),
    "About half of the latents stay in their zone when the rest of the batch is redrawn": Judged(
        zones, "49 %", "50 %", above=25, below=75, shown=50
    ),
}
"""The claims about a number that can take any value, by statement."""
