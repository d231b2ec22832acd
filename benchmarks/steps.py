"""Compare the seconds of a training step of `lzn.training.train` with a plain version that has literal latents.

python -m benchmarks.steps [--cases digits_128 cifar10_8]

Networks and hyperparameters are those of the sizes' parameter files; images are noise of the same shapes. The networks
are untrained, so their anchors are close together and no flow has a straight start: the slowest case for our version.
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
from lzn.training import ImageBatches, TrainingCallbacks, train
from pipelines.check import read_params

_WIDTHS = (28, 8, 12, 12, 10, 20)
CIFAR10 = "cifar10_8"


@dataclass(frozen=True)
class Case:
    """A run and its numbers of steps; the first step, which is slower, is not measured.

    Attributes:
        params: parameter file, relative to the project's root.
        run: name of the run.
        batch_size: samples of a step.
        num_steps: steps of our version.
        num_plain_steps: steps of the plain version.
        times_faster: goal for the ratio of their seconds.
    """

    params: str
    run: str
    batch_size: int
    num_steps: int
    num_plain_steps: int
    times_faster: float | None = None

    def read_run(self) -> GenerationRun | JointRun:
        """Read the run's configuration, with this number of steps and this batch size."""
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
"""CIFAR10's batch is small: a step with the paper's batch of 2000 takes half an hour on two cores."""


@dataclass(frozen=True)
class Speed:
    """Our steps: median seconds, and median share of a step before the computation of its losses."""

    seconds: float
    share_waiting: float


class _Watch:
    """Records when each step begins to compute its losses, and when it ends."""

    def __init__(self, compute_losses: Any) -> None:
        self._compute_losses = compute_losses
        self.begun: list[float] = []
        self.ended: list[float] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the losses."""
        self.begun.append(time.perf_counter())
        return self._compute_losses(*args, **kwargs)

    def end(self, step: int) -> None:
        """Record the end of a step; also called before the first step."""
        self.ended.append(time.perf_counter())


def our_speed(case: Case) -> Speed:
    """Train for a few steps, and measure them.

    The time from the end of a step to the next computation of losses is an upper bound of the waiting time for data.

    Raises:
        RuntimeError: a loss is not finite.
    """
    run = case.read_run()
    watch = _Watch(run.build_step())
    result = train(
        run.build_model(num_classes=10),
        watch,
        ImageBatches(data=noise_images(run), schedule=run.training, seed=run.seed),
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
    """Return the median seconds of the plain version's steps."""
    run = case.read_run()
    return median(seconds_of_plain_steps(run, noise_images(run), num_steps=case.num_plain_steps)[1:])


def noise_images(run: GenerationRun | JointRun) -> ImageSet:
    """Make random images of the run's shape, enough for two batches."""
    num_images = max(2048, 2 * run.training.batch_size)
    random = np.random.default_rng(0)
    shape = (num_images, run.unet.image_channels, run.unet.image_size, run.unet.image_size)
    return ImageSet(random.integers(0, 256, shape, dtype=np.uint8), random.integers(0, 10, num_images))


def measure(names: Sequence[str]) -> list[dict[str, Any]]:
    """Measure each case, and print its row at once."""
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
    """Summarise the rows."""
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
    """Return the data set and the run without the data set's prefix."""
    data = row["case"].partition("_")[0]
    return f"{data} {row['run'].removeprefix(f'{data}_')}"


def _label_flow_share(row: dict[str, Any]) -> Finding:
    """Return the label flow's share of a step of CIFAR10's network, whose time is assumed to be linear in the batch."""
    label_flow = in_own_process(cost_of_label_flow, our_labels, LABEL_FLOW_SIZE).seconds
    step = row["seconds"] / row["batch_size"] * LABEL_FLOW_SIZE
    what = (
        f"label flow, n = {LABEL_FLOW_SIZE}, in % of a step of CIFAR10's network at that batch "
        f"(batch {row['batch_size']}, scaled linearly)"
    )
    return Finding.small(what, 100 * label_flow / step, 5.0)


if __name__ == "__main__":
    main()
