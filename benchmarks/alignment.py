"""Compare time and memory of aligning two views (case study 2), forward plus backward, with the literal version.

python -m benchmarks.alignment [--sizes 256 1024]

Latents of the first views' anchors flow towards the second views' anchors (Eq. 5, with logarithm). All steps of the
literal version cost the same; with many samples only some are measured, and their time is multiplied.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.comparison import Comparison, print_header
from benchmarks.literal import literal_alignment, literal_flow, literal_latents
from benchmarks.measuring import Cost, backward, cost_of, in_own_process
from benchmarks.reports import Finding, Report
from lzn.flow import Euler, alignment_loss, compute_latents

LATENT_DIM = 256
ALPHA = 0.45
SOLVER = Euler(num_steps=20, g=1e-4)
NUM_SKIPPED_STEPS = 4
SIZES = (256, 1024)
LARGEST_WHOLE = 256
"""With more samples, only `FEW_STEPS` steps of the literal version are measured."""
FEW_STEPS = 5


def ours(view_1: Tensor, view_2: Tensor, noise: Tensor) -> Tensor:
    """Compute the alignment loss by the library."""
    latents = compute_latents(view_1, noise, alpha=ALPHA, solver=SOLVER)
    targets = torch.arange(len(latents))
    return alignment_loss(
        latents, view_2, targets, solver=SOLVER, num_skipped_steps=NUM_SKIPPED_STEPS, log=True
    ).loss


def literal(view_1: Tensor, view_2: Tensor, noise: Tensor) -> Tensor:
    """Compute the alignment loss by the formula as it is written."""
    return _literal(view_1, view_2, noise, num_steps=SOLVER.num_steps, num_skipped_steps=NUM_SKIPPED_STEPS)


def literal_in_part(view_1: Tensor, view_2: Tensor, noise: Tensor) -> Tensor:
    """Compute the first `FEW_STEPS` steps of both flows by the formula as it is written."""
    return _literal(view_1, view_2, noise, num_steps=FEW_STEPS, num_skipped_steps=1)


def cost_of_alignment(version: Callable[[Tensor, Tensor, Tensor], Tensor], num_samples: int) -> Cost:
    """Measure forward plus backward in float32; unit Gaussian anchors, second views half their norm away."""
    generator = torch.Generator().manual_seed(0)
    view_1, change, noise = torch.randn(3, num_samples, LATENT_DIM, generator=generator)
    view_2 = (view_1 + 0.5 * change).requires_grad_()
    view_1.requires_grad_()
    return cost_of(
        lambda: backward(version(view_1, view_2, noise)),
        warm_up=lambda: backward(version(view_1[:8], view_2[:8], noise[:8])),
    )


def compare(num_samples: int) -> Comparison:
    """Measure both versions."""
    our_cost = in_own_process(cost_of_alignment, ours, num_samples)
    if num_samples <= LARGEST_WHOLE:
        literal_cost = in_own_process(cost_of_alignment, literal, num_samples)
    else:
        part = in_own_process(cost_of_alignment, literal_in_part, num_samples)
        literal_cost = replace(part, seconds=part.seconds * SOLVER.num_steps / FEW_STEPS)
    return Comparison(what="alignment", num_rows=num_samples, ours=our_cost, literal=literal_cost)


def findings(comparisons: Sequence[Comparison]) -> list[Finding]:
    """Summarise the comparisons."""
    return [
        Finding.large(f"{each.name}: times faster than literal", each.times_faster)
        for each in comparisons
        if each.times_faster is not None
    ]


def main() -> None:
    """Measure both versions at all sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alignment", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of samples")
    arguments = parser.parse_args()
    title = (
        f"Alignment of two views (case study 2), forward plus backward, float32, q = {LATENT_DIM}, Euler "
        f"{SOLVER.num_steps}; fastest repetition; literal with n > {LARGEST_WHOLE}: {FEW_STEPS} steps of each flow, "
        f"their time times {SOLVER.num_steps // FEW_STEPS}"
    )
    print(title)
    print_header()
    comparisons = []
    for size in arguments.sizes:
        comparisons.append(compare(size))
        comparisons[-1].print()
    Report("alignment", title, [each.as_row() for each in comparisons], findings(comparisons)).publish()


def _literal(
    view_1: Tensor, view_2: Tensor, noise: Tensor, *, num_steps: int, num_skipped_steps: int
) -> Tensor:
    latents = literal_latents(view_1, noise, alpha=ALPHA, solver=SOLVER, num_steps=num_steps)
    targets = torch.arange(len(latents))
    result = literal_flow(latents, view_2, targets=targets, solver=SOLVER, num_steps=num_steps)
    assert result.target_log_probability is not None
    return literal_alignment(result.target_log_probability, num_skipped_steps=num_skipped_steps, log=True)


if __name__ == "__main__":
    main()
