"""Time and memory of latent computation, forward plus backward, against the literal version: ratios of one run.

Every figure is measured in a process of its own, so that a peak of memory is that of one measurement.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.literal import literal_latents
from lzn.flow import Euler, compute_latents

LATENT_DIM = 200
NUM_STEPS = 20
G = 1e-4
SIZES = (256, 1024)
REPORT = Path(__file__).with_name("latents.json")


def literal(anchors: Tensor, noise: Tensor) -> Tensor:
    """The formula as it is written."""
    return literal_latents(anchors, noise, num_steps=NUM_STEPS, g=G)


def attention(anchors: Tensor, noise: Tensor) -> Tensor:
    """What the library does."""
    return compute_latents(anchors, noise, solver=Euler(num_steps=NUM_STEPS, g=G))


VERSIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"literal": literal, "attention": attention}


def measure(version: str, num_anchors: int) -> dict[str, float]:
    """Seconds of the fastest repetition, and bytes that the peak of memory grew by."""
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randn(num_anchors, LATENT_DIM, generator=generator).requires_grad_()
    noise = torch.randn(num_anchors, LATENT_DIM, generator=generator)
    VERSIONS[version](anchors[:8], noise[:8]).square().sum().backward()  # type: ignore[no-untyped-call]  # load libraries before memory is read
    before = _peak_bytes()
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < 60:
        start = time.perf_counter()
        VERSIONS[version](anchors, noise).square().sum().backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "extra_bytes": _peak_bytes() - before}


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _in_own_process(version: str, num_anchors: int) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.latents",
        "--version",
        version,
        "--num-anchors",
        str(num_anchors),
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(output)
    return result


def main() -> None:
    """Measure all versions at all sizes, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latents", description=__doc__)
    parser.add_argument("--version", choices=VERSIONS, help="measure one version only, and print it as JSON")
    parser.add_argument("--num-anchors", type=int, default=SIZES[0])
    arguments = parser.parse_args()
    if arguments.version:
        print(json.dumps(measure(arguments.version, arguments.num_anchors)))
        return
    rows = []
    print(f"Latents, forward plus backward, float32, q = {LATENT_DIM}, {NUM_STEPS} Euler steps")
    print(f"{'n':>6} {'literal':>10} {'attention':>10} {'faster':>8} {'memory':>18}")
    for size in SIZES:
        slow, fast = (_in_own_process(version, size) for version in VERSIONS)
        rows.append({"num_anchors": size, "literal": slow, "attention": fast})
        memory = f"{slow['extra_bytes'] / 2**20:.0f} / {fast['extra_bytes'] / 2**20:.0f} MiB"
        print(
            f"{size:>6} {slow['seconds']:>8.3f} s {fast['seconds']:>8.3f} s "
            f"{slow['seconds'] / fast['seconds']:>7.0f}x {memory:>18}"
        )
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    REPORT.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
