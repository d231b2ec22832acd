"""Measure the errors of latents and of their gradients against the number of solver steps, without times.

python -m benchmarks.accuracy [--steps 5 10 20]

Errors are those of float32, as in training. The truth is the limit of Euler's method in float64, by Richardson
extrapolation from 250, 500 and 1000 steps. The error of 500 Euler steps, a common reference, is printed too, and errors
relative to that reference are in the JSON. A solver that ends before ``tau = 1``, as DPM-Solver at ``1 - g``, has an
error of at least about ``g``.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.machine import ROOT
from benchmarks.measuring import in_own_process
from benchmarks.reports import FOLDER, Finding, Report, print_row
from lzn.data import dequantise
from lzn.data.prepared import read_split
from lzn.flow import Adams, DPMSolver, Euler, Solver, compute_latents
from lzn.runs.trained import read_trained
from stages.reporting.figures import STYLE
from stages.runtime.outputs import OutputPaths

NUM_ANCHORS = 256
LATENT_DIM = 200
STEPS = (5, 8, 10, 14, 20, 30, 50, 100)
PAPER_STEPS = 20

SOLVERS: dict[str, Callable[[int], Solver]] = {
    "Euler": lambda num_steps: Euler(num_steps=num_steps, g=1e-4),
    "DPM-Solver++": lambda num_steps: DPMSolver(num_steps=num_steps, g=1e-3),
    "Adams": lambda num_steps: Adams(num_steps=num_steps, g=1e-4),
    "Adams from 0.4": lambda num_steps: Adams(num_steps=num_steps, g=1e-4, straight_until=0.4),
}


@dataclass(frozen=True)
class Latents:
    """Latents (n, q) in float64, and the gradient (n, q) of a fixed linear function of them by the anchors."""

    points: Tensor
    gradient: Tensor

    def error(self, truth: "Latents") -> dict[str, float]:
        """Return the relative errors, in the norm over all elements."""
        return {
            "value": float((self.points - truth.points).norm() / truth.points.norm()),
            "gradient": float((self.gradient - truth.gradient).norm() / truth.gradient.norm()),
        }

    def plus(self, other: "Latents", factor: float) -> "Latents":
        """Return ``self + factor (self - other)``."""
        points = self.points + factor * (self.points - other.points)
        return Latents(points, self.gradient + factor * (self.gradient - other.gradient))


def unit_anchors() -> Tensor:
    """Draw standard normal anchors (n, q)."""
    return torch.randn(NUM_ANCHORS, LATENT_DIM, generator=torch.Generator().manual_seed(0))


def clustered_anchors() -> Tensor:
    """Draw anchors (n, q) around ten centres of norm about 14, with a standard deviation of 0.3."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(10, LATENT_DIM, generator=generator)
    spread = 0.3 * torch.randn(NUM_ANCHORS, LATENT_DIM, generator=generator)
    return centres[torch.arange(NUM_ANCHORS) % 10] + spread


@torch.no_grad()
def trained_anchors() -> Tensor | None:
    """Encode training images of digits by the run ``rf_lzn``; return None if it is not trained."""
    outputs = OutputPaths("digits")
    folder = ROOT / outputs.seed_folder("train", "rf_lzn", 0)
    if not folder.exists():
        return None
    images = read_split(ROOT / outputs.folder("prepare", "digits"), "train").images[:NUM_ANCHORS]
    anchors: Tensor = read_trained(folder).model.encoder(dequantise(images))
    return anchors


PROBLEMS: dict[str, Callable[[], Tensor | None]] = {
    "unit Gaussian": unit_anchors,
    "clusters": clustered_anchors,
    "trained digits": trained_anchors,
}


def solve(anchors: Tensor, solver: Solver, dtype: torch.dtype) -> Latents:
    """Compute latents with fixed noise, and the gradient of a fixed linear function."""
    generator = torch.Generator().manual_seed(1)
    noise, function = torch.randn(2, *anchors.shape, generator=generator, dtype=torch.float64)
    anchors = anchors.to(dtype).requires_grad_()
    latents = compute_latents(anchors, noise.to(dtype), solver=solver)
    (gradient,) = torch.autograd.grad(latents, anchors, function.to(dtype))
    return Latents(latents.detach().double(), gradient.double())


def measure_problem(problem: str, steps: Sequence[int]) -> dict[str, Any] | None:
    """Measure the errors on one of `PROBLEMS`; return None if it has no anchors."""
    anchors = PROBLEMS[problem]()
    return None if anchors is None else {"problem": problem, **measure_errors(anchors, steps)}


def measure_errors(anchors: Tensor, steps: Sequence[int]) -> dict[str, Any]:
    """Measure the errors of all solvers at all numbers of steps, and of 500 Euler steps in float64."""
    coarse, middle, fine = (
        solve(anchors, Euler(num_steps=r, g=1e-4), torch.float64) for r in (250, 500, 1000)
    )
    second_order, second_order_fine = middle.plus(coarse, 1.0), fine.plus(middle, 1.0)
    truth = second_order_fine.plus(second_order, 1 / 3)
    errors: dict[str, list[dict[str, Any]]] = {name: [] for name in SOLVERS}
    for name, solver in SOLVERS.items():
        for num_steps in steps:
            latents = solve(anchors, solver(num_steps), torch.float32)
            error = {"to_converged": latents.error(truth), "to_500_steps": latents.error(middle)}
            errors[name].append({"num_steps": num_steps, **error})
    return {
        "shape": list(anchors.shape),
        "euler_500_float64": middle.error(truth),
        "converged_within": second_order_fine.error(truth),
        "errors": errors,
    }


def measure(steps: Sequence[int]) -> list[dict[str, Any]]:
    """Measure each problem, and print its rows at once."""
    rows = []
    for problem in PROBLEMS:
        row = in_own_process(measure_problem, problem, steps)
        if row is None:
            print(f"{problem}: left out; `make repro` trains the run that it needs")
            continue
        rows.append(row)
        _print(row, steps)
    return rows


def findings(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Summarise the errors at the paper's number of steps."""
    return [
        Finding(
            f"{row['problem']}, {name}, {PAPER_STEPS} steps: relative error of latents / of gradients",
            f"{error['to_converged']['value']:.1e} / {error['to_converged']['gradient']:.1e}",
        )
        for row in rows
        for name, errors in row["errors"].items()
        for error in errors
        if error["num_steps"] == PAPER_STEPS
    ]


def draw(rows: Sequence[Mapping[str, Any]], *, file: Path) -> None:
    """Plot errors against the number of steps: a column for each problem, latents above, gradients below."""
    mpl.use("Agg")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(rows), 5.2), layout="constrained")
        axes = figure.subplots(2, len(rows), sharex=True, sharey="row", squeeze=False)
        for column, row in enumerate(rows):
            axes[0, column].set_title(f"{row['problem']}, n = {row['shape'][0]}, q = {row['shape'][1]}")
            axes[1, column].set_xlabel("solver steps")
            for line, what in zip(axes[:, column], ("value", "gradient"), strict=True):
                _draw_errors(line, row, what)
        for line, what in zip(axes[:, 0], ("latents", "gradients"), strict=True):
            line.set_ylabel(f"relative error of {what}")
        axes[0, 0].legend()
        figure.savefig(file)


def main() -> None:
    """Measure all solvers on all problems."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="numbers of solver steps")
    arguments = parser.parse_args()
    title = (
        "Relative error of latents / of gradients against solver steps, float32; truth: float64, converged"
    )
    print(title)
    rows = measure(arguments.steps)
    draw(rows, file=FOLDER / "accuracy.png")
    Report("accuracy", title, rows, findings(rows)).publish()


def _print(row: Mapping[str, Any], steps: Sequence[int]) -> None:
    widths = (16, *[19] * len(steps))
    print_row((row["problem"], *(f"{r} steps" for r in steps)), widths=widths)
    for name, errors in row["errors"].items():
        cells = (
            f"{error['to_converged']['value']:.1e} / {error['to_converged']['gradient']:.1e}"
            for error in errors
        )
        print_row((f"  {name}", *cells), widths=widths)
    euler, within = row["euler_500_float64"], row["converged_within"]
    print(
        f"  Euler 500 in float64: {euler['value']:.1e} / {euler['gradient']:.1e}; "
        f"truth converged within {within['value']:.1e} / {within['gradient']:.1e}",
        flush=True,
    )


def _draw_errors(axes: Any, row: Mapping[str, Any], what: str) -> None:
    for name, errors in row["errors"].items():
        steps = [error["num_steps"] for error in errors]
        axes.plot(
            steps,
            [error["to_converged"][what] for error in errors],
            marker="o",
            markersize=3,
            linewidth=1.2,
            label=name,
        )
    axes.axhline(row["euler_500_float64"][what], color="grey", linewidth=0.8, linestyle=":")
    axes.annotate(
        "500 Euler steps, float64",
        (0.02, row["euler_500_float64"][what]),
        xycoords=("axes fraction", "data"),
        ha="left",
        va="bottom",
        color="grey",
        fontsize=7,
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([5, 10, 20, 50, 100], labels=["5", "10", "20", "50", "100"])
    axes.minorticks_off()


if __name__ == "__main__":
    main()
