"""Measure latents and whole training steps of CIFAR10's networks on a CUDA GPU: seconds and peak memory of its tensors.

python -m benchmarks.gpu [--sizes 512 2048] [--batch-size 2000]

Images are noise of CIFAR10's shape. With the paper's batch of 2000 the activations of all samples need more than 200 GB
in float32, so steps are measured in bfloat16, and with recomputed activations.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch

from benchmarks.latents import EULER, cost_of_latents, ours
from benchmarks.measuring import in_own_process, peak_memory, reset_peak_memory, wait_for
from benchmarks.reports import Finding, Report
from benchmarks.steps import PAPER, Case, noise_images
from lzn.training import Compute, ImageBatches, TrainingCallbacks, train

SIZES = (512, 2048, 8192)
RUNS = ("cifar10_rf_lzn", "cifar10_joint")
BATCH_SIZE = 2000
COMPUTE = {
    "bfloat16": Compute(precision="bfloat16"),
    "bfloat16, recomputed activations": Compute(precision="bfloat16", checkpoint_activations=True),
    "float32, recomputed activations": Compute(checkpoint_activations=True),
}


@dataclass(frozen=True)
class StepCost:
    """A training step: seconds of the fastest, without the first, and peak memory with parameters and optimiser."""

    seconds: float
    peak_bytes: int


def cost_of_step(case: Case, compute: Compute, device: str) -> StepCost | None:
    """Train for the steps of ``case``, at least two. None if the memory of the GPU is too small."""
    run = case.read_run()
    compute_losses: Any = run.build_step()
    ended = []

    def end(step: int) -> None:
        wait_for(device)
        ended.append(time.perf_counter())

    reset_peak_memory(device)
    try:
        train(
            run.build_model(num_classes=10),
            compute_losses,
            ImageBatches(data=noise_images(run), schedule=run.training, seed=run.seed),
            run.training,
            seed=run.seed,
            device=device,
            compute=compute,
            callbacks=TrainingCallbacks(on_step=end),
        )
    except torch.OutOfMemoryError:
        return None
    # ``end`` is also called before the first step.
    seconds = [after - before for before, after in pairwise(ended)][1:]
    return StepCost(min(seconds), peak_memory(device))


def measure_latents(sizes: Sequence[int], device: str) -> list[dict[str, object]]:
    """Measure latents of each number of anchors, forward plus backward."""
    return [
        {"what": f"latents, Euler 20, n = {size}", **asdict(cost_of_latents(ours, EULER, size, device))}
        for size in sizes
    ]


def measure_steps(batch_size: int, device: str) -> list[dict[str, object]]:
    """Measure a step of each run with each setting of `COMPUTE`."""
    rows: list[dict[str, object]] = []
    for name in RUNS:
        case = Case(PAPER, name, batch_size, num_steps=3, num_plain_steps=0)
        for setting, compute in COMPUTE.items():
            cost = in_own_process(cost_of_step, case, compute, device)
            found = {"seconds": None, "peak_bytes": None} if cost is None else asdict(cost)
            rows.append({"what": f"step of {name}, batch {batch_size}, {setting}", **found})
    return rows


def finding_of(row: dict[str, object]) -> Finding:
    """Return seconds and memory of a row as text."""
    seconds, size = row["seconds"], row.get("peak_bytes", row.get("extra_bytes"))
    if not isinstance(seconds, float) or not isinstance(size, int):
        return Finding(str(row["what"]), "out of memory")
    shown = f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
    return Finding(str(row["what"]), f"{shown}, {size / 2**30:.2f} GiB")


def main() -> None:
    """Measure all, and print and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of anchors")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="samples of a training step")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this machine has no CUDA GPU")
    title = f"On {torch.cuda.get_device_name()}: seconds (fastest repetition) and peak memory of tensors"
    print(title)
    rows = measure_latents(arguments.sizes, "cuda") + measure_steps(arguments.batch_size, "cuda")
    Report("gpu", title, rows, [finding_of(row) for row in rows]).publish()


if __name__ == "__main__":
    main()
