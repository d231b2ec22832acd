"""Compare a training step in micro-batches with the same step at once: seconds, and peak memory of activations.

python -m benchmarks.micro_batches [--cases fashion_rf_lzn cifar10_rf_lzn]

Memory is the peak of the process above its model, gradients and batch. Images are noise of the shapes of the runs.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from benchmarks.machine import ROOT
from benchmarks.measuring import Cost, cost_of, in_own_process
from benchmarks.reports import Finding, Report, print_row
from lzn.base.parallel import Processes
from lzn.training import Batch
from lzn.training.gradients import AddGradients, gradients_of
from pipelines.check import read_params

_WIDTHS = (26, 8, 8, 12, 12)
_NUM_CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A run, the batch size of its steps, and the sizes of micro-batches.

    Attributes:
        params: parameter file, relative to the project's root.
        run: name of the run.
        batch_size: samples of a step.
        sizes: sizes of micro-batches.
        most_times_slower: goal for the time of a step in the largest micro-batches, relative to the step at once.
        most_mib: goal for the peak memory in MiB of a step in the smallest micro-batches.
    """

    params: str
    run: str
    batch_size: int
    sizes: tuple[int, ...]
    most_times_slower: float | None = None
    most_mib: float | None = None


FASHION, PAPER = "sizes/fashion.yaml", "sizes/paper.yaml"
CASES = {
    "fashion_rf_lzn": Case(FASHION, "fashion_rf_lzn", 128, (8, 32), 1.1),
    "fashion_joint": Case(FASHION, "fashion_joint", 128, (8, 32), 1.1),
    "fashion_representation": Case(FASHION, "fashion_representation", 128, (8, 32), 1.1),
    "cifar10_rf_lzn": Case(PAPER, "cifar10_rf_lzn", 16, (2, 4), most_mib=180),
}


def cost_of_step(case: Case, micro_batch_size: int | None) -> Cost:
    """Measure the gradient of a step. Gradients exist before the measurement, as do the model and the batch."""
    run: Any = read_params(ROOT / case.params).runs[case.run]
    model = run.build_model(_NUM_CLASSES)
    model.to(memory_format=torch.channels_last).train()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    batch = _noise_batch(run, case.batch_size)
    gradients = gradients_of(
        model,
        run.build_step(),
        replace(run.compute, micro_batch_size=micro_batch_size),
        batch_size=case.batch_size,
        seed=0,
        device="cpu",
        processes=Processes(),
    )
    with gradients as add_gradients:
        # No warm-up: memory that it frees would not count in the measurement.
        return cost_of(partial(_step, add_gradients, batch), warm_up=lambda: None, max_seconds=8.0)


def _step(add_gradients: AddGradients, batch: Batch) -> None:
    add_gradients(batch, 1)


def _noise_batch(run: Any, batch_size: int) -> Batch:
    if run.study == "representation":
        channels, size = run.encoder.image_channels, 28
    else:
        channels, size = run.unet.image_channels, run.unet.image_size
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(batch_size, channels, size, size, generator=generator) * 2 - 1
    return Batch(
        images.contiguous(memory_format=torch.channels_last), torch.arange(batch_size) % _NUM_CLASSES
    )


def measure(names: Sequence[str]) -> list[dict[str, Any]]:
    """Measure each case, and print its rows at once."""
    print_row(("", "batch", "parts of", "seconds", "MiB"), widths=_WIDTHS)
    rows = []
    for name in names:
        case = CASES[name]
        for size in (None, *case.sizes):
            cost = in_own_process(cost_of_step, case, size)
            row = {"case": name, "size": size, "seconds": cost.seconds, "mib": cost.extra_bytes / 2**20}
            rows.append(row)
            cells = (
                name,
                str(case.batch_size),
                str(size or case.batch_size),
                f"{cost.seconds:.3f}",
                f"{row['mib']:.0f}",
            )
            print_row(cells, widths=_WIDTHS)
    return rows


def findings(rows: Sequence[dict[str, Any]]) -> list[Finding]:
    """Summarise the rows."""
    at_once = {row["case"]: row for row in rows if row["size"] is None}
    found = []
    for row in (row for row in rows if row["size"] is not None):
        case, whole = CASES[row["case"]], at_once[row["case"]]
        what = f"{row['case']}, batch {case.batch_size} in micro-batches of {row['size']}"
        is_largest, is_smallest = row["size"] == max(case.sizes), row["size"] == min(case.sizes)
        found += [
            Finding.small(
                f"{what}: time, of that at once",
                row["seconds"] / whole["seconds"],
                case.most_times_slower if is_largest else None,
            ),
            Finding.small(
                f"{what}: memory in MiB (at once {whole['mib']:.0f})",
                row["mib"],
                case.most_mib if is_smallest else None,
            ),
        ]
    return found


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro_batches", description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    title = (
        "Training steps in micro-batches; fastest repetition, peak memory above model, gradients and batch"
    )
    print(title)
    rows = measure(arguments.cases)
    Report("micro_batches", title, rows, findings(rows)).publish()


if __name__ == "__main__":
    main()
