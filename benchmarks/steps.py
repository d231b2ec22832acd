"""Whole training steps, by `lzn.training.train` and by a plain version with literal latents: seconds a step.

python -m benchmarks.steps [--cases digits_128 cifar10_8]

Networks and hyperparameters are those of the sizes' parameter files; images are noise of their shapes, and networks
are untrained, so that anchors lie close together: no flow starts straight, which costs our version most.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from benchmarks.latents import LABEL_FLOW_SIZE, cost_of_label_flow, our_labels
from benchmarks.machine import ROOT
from benchmarks.measuring import in_own_process
from benchmarks.plain import seconds_of_plain_steps
from benchmarks.reports import Finding, Report, print_row
from lzn.data import ImageSet
from lzn.runs.configuration import GenerationRun, JointRun
from lzn.training import TrainingCallbacks, train
from pipelines.check import read_params

_WIDTHS = (28, 8, 12, 12, 10, 20)
CIFAR10 = "cifar10_8"


@dataclass(frozen=True)
class Case:
    """What is trained, and for how many steps; the first of them, which is slower, is left out.

    Attributes:
        params: parameter file, seen from the project's root.
        run: its run.
        batch_size: samples a step.
        num_steps: of our version.
        num_plain_steps: of the plain version.
        times_faster: the goal.
    """

    params: str
    run: str
    batch_size: int
    num_steps: int
    num_plain_steps: int
    times_faster: float | None = None

    def read_run(self) -> GenerationRun | JointRun:
        """The run's configuration, with this batch size."""
        run = read_params(ROOT / self.params).runs[self.run]
        assert isinstance(run, GenerationRun | JointRun)
        training = replace(
            run.training, num_steps=self.num_steps, batch_size=self.batch_size, snapshot_steps=()
        )
        return run.model_copy(update={"training": training})


FASHION, PAPER = "sizes/fashion.yaml", "sizes/paper.yaml"
CASES = {
    "digits_128": Case("params.yaml", "rf_lzn", 128, 41, 6, 1.5),
    "digits_1024": Case("params.yaml", "rf_lzn", 1024, 9, 2, 5.0),
    "digits_joint_128": Case("params.yaml", "joint", 128, 25, 4),
    "digits_joint_1024": Case("params.yaml", "joint", 1024, 7, 2),
    "fashion_128": Case(FASHION, "fashion_rf_lzn", 128, 25, 5, 1.5),
    "fashion_1024": Case(FASHION, "fashion_rf_lzn", 1024, 5, 2, 3.0),
    "fashion_joint_128": Case(FASHION, "fashion_joint", 128, 17, 3),
    CIFAR10: Case(PAPER, "cifar10_rf_lzn", 8, 3, 2),
}
"""CIFAR10's batch is tiny: a step of the paper's batch of 2000 takes two cores half an hour."""


@dataclass(frozen=True)
class Speed:
    """Our steps: median of their seconds, and the median share of a step spent before its losses are computed."""

    seconds: float
    share_waiting: float


class _Watch:
    """When each step begins to compute its losses, and when it ends."""

    def __init__(self, compute_losses: Any) -> None:
        self._compute_losses = compute_losses
        self.begun: list[float] = []
        self.ended: list[float] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The training step."""
        self.begun.append(time.perf_counter())
        return self._compute_losses(*args, **kwargs)

    def end(self, step: int) -> None:
        """Called before the first step, and after each."""
        self.ended.append(time.perf_counter())


def our_speed(case: Case) -> Speed:
    """Train for a few steps.

    From the end of a step to the next one's computation of losses, all waiting for data takes place, and a little
    else: an upper bound.
    """
    run = case.read_run()
    watch = _Watch(run.build_step())
    result = train(
        run.build_model(num_classes=10),
        watch,
        noise_images(run),
        run.training,
        seed=run.seed,
        compute=run.compute,
        callbacks=TrainingCallbacks(on_step=watch.end),
    )
    if result.num_skipped_steps:
        raise RuntimeError(f"{result.num_skipped_steps} steps had a loss that is not finite")
    steps = list(pairwise(watch.ended))[1:]
    shares = [(b - start) / (end - start) for b, (start, end) in zip(watch.begun[1:], steps, strict=True)]
    return Speed(median(end - start for start, end in steps), median(shares))


def plain_seconds(case: Case) -> float:
    """Median seconds of the plain version's steps."""
    run = case.read_run()
    return median(seconds_of_plain_steps(run, noise_images(run), num_steps=case.num_plain_steps)[1:])


def noise_images(run: GenerationRun | JointRun) -> ImageSet:
    """Noise of the run's image shape, enough for a few batches."""
    num_images = max(2048, 2 * run.training.batch_size)
    random = np.random.default_rng(0)
    shape = (num_images, run.unet.image_channels, run.unet.image_size, run.unet.image_size)
    return ImageSet(random.integers(0, 256, shape, dtype=np.uint8), random.integers(0, 10, num_images))


def measure(names: Sequence[str]) -> list[dict[str, Any]]:
    """A row a case, printed as soon as it is there."""
    print_row(("", "batch", "plain", "ours", "faster", "waiting for data <"), widths=_WIDTHS)
    rows = []
    for name in names:
        case = CASES[name]
        speed, plain = in_own_process(our_speed, case), in_own_process(plain_seconds, case)
        row = {"case": name, **asdict(case), "plain_seconds": plain, **asdict(speed)}
        rows.append({**row, "faster": plain / speed.seconds})
        cells = (
            _name(row),
            str(case.batch_size),
            f"{plain:.3f} s",
            f"{speed.seconds:.3f} s",
            f"{plain / speed.seconds:.2f}x",
            f"{100 * speed.share_waiting:.2f} %",
        )
        print_row(cells, widths=_WIDTHS)
    return rows


def findings(rows: Sequence[dict[str, Any]]) -> list[Finding]:
    """What it comes to."""
    found = [
        Finding.large(
            f"{_name(row)}, batch {row['batch_size']}: step, times faster than plain",
            row["faster"],
            row["times_faster"],
        )
        for row in rows
    ]
    waiting = max(100 * row["share_waiting"] for row in rows)
    found.append(Finding.small("share of a step spent waiting for data, in %, at most", waiting, 2.0))
    return found + [_label_flow_share(row) for row in rows if row["case"] == CIFAR10]


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    title = "Training steps, RF+LZN and joint, ours and plain; median of the steps after the first"
    print(title)
    rows = measure(arguments.cases)
    Report("steps", title, rows, findings(rows)).publish()


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['case'].partition('_')[0]} {row['run'].removeprefix('cifar10_')}"


def _label_flow_share(row: dict[str, Any]) -> Finding:
    """The label flow's share of a step of CIFAR10's network, whose time is taken to be linear in the batch."""
    label_flow = in_own_process(cost_of_label_flow, our_labels, LABEL_FLOW_SIZE).seconds
    step = row["seconds"] / row["batch_size"] * LABEL_FLOW_SIZE
    what = (
        f"label flow, n = {LABEL_FLOW_SIZE}, in % of a step of CIFAR10's network at that batch "
        f"(batch {row['batch_size']}, scaled linearly)"
    )
    return Finding.small(what, 100 * label_flow / step, 5.0)


if __name__ == "__main__":
    main()
