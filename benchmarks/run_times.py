"""Estimate how long the runs of a size train on this machine: the measured time of a step times their number.

python -m benchmarks.run_times sizes/fashion.yaml [--runs fashion_rf fashion_joint]

The data of these runs must be prepared: `python -m pipelines.sizes fashion && dvc repro prepare@fashion`.
"""

import argparse
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from lzn.data.prepared import read_description, read_split
from lzn.training import ImageBatches, TrainingCallbacks, train
from pipelines.check import Params, read_params
from stages.runtime.outputs import OutputPaths

NUM_STEPS = 24
NUM_LEFT_OUT = 6
"""First steps, which are slower and are not measured."""


def seconds_a_step(params: Params, name: str) -> float:
    """Return the median over the steps of a training of `NUM_STEPS` steps."""
    run: Any = params.runs[name]
    folder = OutputPaths(params.size).folder("prepare", run.data)
    schedule = replace(run.training, num_steps=NUM_STEPS, snapshot_steps=())
    times: list[float] = []
    train(
        run.build_model(read_description(folder).num_classes),
        run.build_step(),
        ImageBatches(
            data=read_split(folder, "train"), schedule=schedule, seed=run.seed, views=run.build_views()
        ),
        schedule,
        seed=run.seed,
        callbacks=TrainingCallbacks(on_step=lambda step: times.append(time.perf_counter())),
    )
    times = times[NUM_LEFT_OUT:]
    return median(after - before for before, after in pairwise(times))


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run_times", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("params", type=Path, help="params.yaml of a size whose data are prepared")
    parser.add_argument("--runs", nargs="+", help="default: all")
    arguments = parser.parse_args()
    params = read_params(arguments.params)
    torch.set_num_threads(params.hardware.num_threads)
    for name in arguments.runs or params.runs:
        seconds = seconds_a_step(params, name)
        minutes = seconds * params.runs[name].training.num_steps / 60
        print(f"{name:20} {1000 * seconds:6.0f} ms a step  {minutes:5.1f} min", flush=True)


if __name__ == "__main__":
    main()
