"""Measure images per second and network evaluations of sampling and its inverse, and compare RK45 with SciPy's.

python -m benchmarks.sampling [--num-images 100]

The network is the U-Net of the digits run ``rf``, with trained weights if the pipeline has trained it.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from benchmarks.machine import ROOT
from benchmarks.measuring import cost_of, in_own_process
from benchmarks.reports import Finding, Report, print_row
from lzn.rectified_flow.ode import EulerSampler, RK45Sampler, Sampler
from lzn.rectified_flow.path import T_MIN, Velocity
from lzn.runs.trained import read_trained
from pipelines.check import read_params
from stages.runtime.outputs import OutputPaths

NUM_IMAGES = 100
TOLERANCE = 1e-5
RK45 = "RK45 1e-5"
SAMPLERS: dict[str, Sampler] = {
    "Euler 50": EulerSampler(num_steps=50),
    RK45: RK45Sampler(rtol=TOLERANCE, atol=TOLERANCE),
}
SCIPY = "SciPy RK45 1e-5"
DIRECTIONS = {"noise to images": (T_MIN, 1.0), "images to noise": (1.0, T_MIN)}
_WIDTHS = (36, 12, 14)


@dataclass(frozen=True)
class Sampling:
    """Seconds of the fastest repetition and evaluations of the network, each for the whole batch."""

    seconds: float
    num_evaluations: int


Solve = Callable[[Velocity, Tensor, float, float], int]
"""Integrates the image ODE from one time to another. Returns the number of evaluations."""


def ours(sampler: Sampler, velocity: Velocity, x: Tensor, t_start: float, t_end: float) -> int:
    """Integrate by the library's solvers."""
    return sampler.integrate(velocity, x, t_start=t_start, t_end=t_end).num_evaluations


def scipy_rk45(velocity: Velocity, x: Tensor, t_start: float, t_end: float) -> int:
    """Integrate by SciPy's RK45, with the batch as one vector, converted to and from NumPy in each evaluation."""

    def right_hand_side(t: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        state = torch.from_numpy(y).to(x.dtype).view_as(x)
        v = velocity(state, torch.full((len(x),), t, dtype=x.dtype))
        return v.numpy().astype(np.float64).ravel()

    y = x.numpy().astype(np.float64).ravel()
    solution = solve_ivp(right_hand_side, (t_start, t_end), y, method="RK45", rtol=TOLERANCE, atol=TOLERANCE)
    return int(solution.nfev)


@torch.no_grad()
def measure_one(solve: Solve, direction: str, num_images: int, *, trained: Path | None) -> Sampling:
    """Measure one solver in one direction, with the weights in the folder ``trained``, or untrained ones."""
    velocity, shape = _digits_velocity(trained)
    x = torch.randn(num_images, *shape, generator=torch.Generator().manual_seed(0))
    t_start, t_end = DIRECTIONS[direction]
    if t_start > t_end:
        x = EulerSampler(50).integrate(velocity, x, t_start=T_MIN, t_end=1.0).x
    evaluations: list[int] = []
    cost = cost_of(
        lambda: evaluations.append(solve(velocity, x, t_start, t_end)),
        warm_up=lambda: velocity(x, torch.full((num_images,), 0.5)),
    )
    return Sampling(cost.seconds, evaluations[0])


def measure(num_images: int, *, trained: Path | None) -> list[dict[str, Any]]:
    """Measure each solver in each direction, and print each row at once."""
    solvers: dict[str, Solve] = {name: partial(ours, sampler) for name, sampler in SAMPLERS.items()}
    solvers[SCIPY] = scipy_rk45
    print_row(("", "images/s", "evaluations"), widths=_WIDTHS)
    rows = []
    for direction in DIRECTIONS:
        for name, solve in solvers.items():
            found = in_own_process(measure_one, solve, direction, num_images, trained=trained)
            images_a_second = num_images / found.seconds
            row = {"direction": direction, "solver": name, "num_images": num_images, **asdict(found)}
            rows.append({**row, "images_a_second": images_a_second})
            cells = (f"{direction}, {name}", f"{images_a_second:.1f}", str(found.num_evaluations))
            print_row(cells, widths=_WIDTHS)
    return rows


def findings(rows: Sequence[dict[str, Any]]) -> list[Finding]:
    """Summarise the rows."""
    found = []
    for direction in DIRECTIONS:
        of = {row["solver"]: row for row in rows if row["direction"] == direction}
        speeds = [f"{name} {of[name]['images_a_second']:.3g}" for name in SAMPLERS]
        found.append(Finding(f"{direction}: images a second", ", ".join(speeds)))
        our_row, other = of[RK45], of[SCIPY]
        difference = 100 * abs(our_row["num_evaluations"] / other["num_evaluations"] - 1)
        what = f"{direction}: RK45's {our_row['num_evaluations']} evaluations, difference to SciPy's in %"
        found.append(Finding.small(what, difference, 5.0))
        faster = other["seconds"] / our_row["seconds"]
        found.append(Finding.large(f"{direction}: RK45, times faster than SciPy's", faster))
    return found


def main() -> None:
    """Measure all solvers in both directions."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=__doc__)
    parser.add_argument("--num-images", type=int, default=NUM_IMAGES, help="in one batch")
    arguments = parser.parse_args()
    folder = ROOT / OutputPaths("digits").seed_folder("train", "rf", 0)
    trained = folder if folder.exists() else None
    weights = "trained" if trained else "untrained"
    title = f"Sampling, digits U-Net ({weights}), {arguments.num_images} images at once; fastest repetition"
    print(title)
    rows = measure(arguments.num_images, trained=trained)
    Report("sampling", title, rows, findings(rows)).publish()


def _digits_velocity(trained: Path | None) -> tuple[Velocity, tuple[int, int, int]]:
    """Return the velocity of the run ``rf`` and the shape of an image."""
    run: Any = read_params(ROOT / "params.yaml").runs["rf"]
    model = run.build_model(num_classes=10).eval() if trained is None else read_trained(trained).model
    shape = (run.unet.image_channels, run.unet.image_size, run.unet.image_size)
    return lambda x, t: model.decoder(x, t, None, None), shape


if __name__ == "__main__":
    main()
