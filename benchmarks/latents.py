"""Compare time and memory of latent computation and of the label flow, forward plus backward, with literal versions.

python -m benchmarks.latents [--sizes 256 1024]

The time is also compared with that of the necessary matrix products alone.
"""

import argparse
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.comparison import Comparison, print_header
from benchmarks.literal import LiteralFlow, PaperSolver, literal_flow, literal_latents, noise_levels
from benchmarks.measuring import Cost, backward, cost_of, in_own_process
from benchmarks.products import Products, count_straight_steps, products_of_latents, time_products
from benchmarks.reports import Finding, Report
from lzn.flow import DPMSolver, Euler, FlowResult, compute_latents, flow_to_anchors

LATENT_DIM = 200
NUM_CLASSES = 10
EULER = Euler(num_steps=20, g=1e-4)
DPM = DPMSolver(num_steps=20, g=1e-3)
LABEL_SOLVER = Euler(num_steps=100, g=1e-4)
EULER_NAME = "latents, Euler 20"

SIZES = (256, 512, 1024, 2048, 4096, 8192)
LARGEST_LITERAL = 1024
"""For larger n the literal version needs many gigabytes and minutes."""
DPM_SIZE = 512
LABEL_FLOW_SIZE = 2000


def literal(anchors: Tensor, noise: Tensor, solver: PaperSolver) -> Tensor:
    """Compute latents by the formula as it is written."""
    return literal_latents(anchors, noise, solver=solver)


def ours(anchors: Tensor, noise: Tensor, solver: PaperSolver) -> Tensor:
    """Compute latents by the library."""
    return compute_latents(anchors, noise, solver=solver)


def cost_of_latents(
    version: Callable[[Tensor, Tensor, PaperSolver], Tensor],
    solver: PaperSolver,
    num_anchors: int,
    device: str = "cpu",
) -> Cost:
    """Measure latents of unit Gaussian anchors, forward plus backward, in float32."""
    anchors, noise = (numbers.to(device) for numbers in _unit_problem(num_anchors))
    anchors.requires_grad_()
    return cost_of(
        lambda: backward(version(anchors, noise, solver).square().sum()),
        warm_up=lambda: backward(version(anchors[:8], noise[:8], solver).square().sum()),
        device=device,
    )


def literal_labels(latents: Tensor, anchors: Tensor, targets: Tensor, weights: Tensor) -> LiteralFlow:
    """Compute the label flow by the formula as it is written."""
    return literal_flow(latents, anchors, targets=targets, weights=weights, solver=LABEL_SOLVER)


def our_labels(latents: Tensor, anchors: Tensor, targets: Tensor, weights: Tensor) -> FlowResult:
    """Compute the label flow by the library."""
    return flow_to_anchors(latents, anchors, targets=targets, weights=weights, solver=LABEL_SOLVER)


def cost_of_label_flow(
    version: Callable[[Tensor, Tensor, Tensor, Tensor], FlowResult | LiteralFlow], num_latents: int
) -> Cost:
    """Measure the flow to class anchors, with targets and class frequencies, forward plus backward, in float32."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(num_latents, LATENT_DIM, generator=generator).requires_grad_()
    anchors = torch.randn(NUM_CLASSES, LATENT_DIM, generator=generator).requires_grad_()
    targets = torch.arange(num_latents) % NUM_CLASSES
    weights = torch.full((NUM_CLASSES,), 1.0 / NUM_CLASSES)

    def compute(rows: slice) -> None:
        result = version(latents[rows], anchors, targets[rows], weights)
        assert result.target_log_probability is not None
        backward(result.target_log_probability.exp().mean())

    return cost_of(lambda: compute(slice(None)), warm_up=lambda: compute(slice(8)))


def needed_products(num_anchors: int) -> Products:
    """Count the products that `cost_of_latents` needs with `EULER`."""
    levels = noise_levels(EULER, towards_anchors=False)
    return products_of_latents(levels, count_straight_steps(*_unit_problem(num_anchors), levels))


def measure(sizes: Sequence[int]) -> list[Comparison]:
    """Make all comparisons, and print each at once."""
    print_header()
    comparisons = []
    for size in sizes:
        products = in_own_process(needed_products, size)
        comparison = Comparison(
            what=EULER_NAME,
            num_rows=size,
            ours=in_own_process(cost_of_latents, ours, EULER, size),
            products=products,
            products_alone=in_own_process(time_products, size, LATENT_DIM, products),
            literal=in_own_process(cost_of_latents, literal, EULER, size)
            if size <= LARGEST_LITERAL
            else None,
        )
        comparison.print()
        comparisons.append(comparison)
    comparisons += [_compare_dpm(), _compare_label_flow()]
    return comparisons


def findings(comparisons: Sequence[Comparison]) -> list[Finding]:
    """Summarise the comparisons."""
    found = []
    for each in comparisons:
        main = each.what == EULER_NAME and each.num_rows == LARGEST_LITERAL
        if each.times_faster is not None and (main or each.what != EULER_NAME):
            goal = 100.0 if main else None
            found.append(Finding.large(f"{each.name}: times faster than literal", each.times_faster, goal))
        if each.share_of_memory is not None and main:
            what = f"{each.name}: extra peak memory, of literal's"
            found.append(Finding.small(what, each.share_of_memory, 1 / 20))
    euler = [each for each in comparisons if each.what == EULER_NAME]
    return found + _over_products(euler) + _growth([each for each in euler if each.num_rows >= 512])


def main() -> None:
    """Measure all versions at all sizes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latents", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of anchors")
    arguments = parser.parse_args()
    title = f"Latents and label flow, forward plus backward, float32, q = {LATENT_DIM}; fastest repetition"
    print(title)
    comparisons = measure(arguments.sizes)
    rows = [each.as_row() for each in comparisons]
    Report("latents", title, rows, findings(comparisons)).publish()


def _compare_dpm() -> Comparison:
    literal_cost, our_cost = (in_own_process(cost_of_latents, f, DPM, DPM_SIZE) for f in (literal, ours))
    comparison = Comparison(
        what="latents, DPM-Solver++ 20", num_rows=DPM_SIZE, literal=literal_cost, ours=our_cost
    )
    comparison.print()
    return comparison


def _compare_label_flow() -> Comparison:
    literal_cost, our_cost = (
        in_own_process(cost_of_label_flow, f, LABEL_FLOW_SIZE) for f in (literal_labels, our_labels)
    )
    comparison = Comparison(
        what="label flow, 10 classes, Euler 100",
        num_rows=LABEL_FLOW_SIZE,
        literal=literal_cost,
        ours=our_cost,
    )
    comparison.print()
    return comparison


def _over_products(comparisons: Sequence[Comparison]) -> list[Finding]:
    """Summarise our times relative to the products alone."""
    times = {each.num_rows: each.times_products for each in comparisons if each.times_products is not None}
    if not times:
        return []
    largest = ", ".join(f"{ratio:.2f}" for ratio in times.values())
    what = f"{EULER_NAME}, n = {', '.join(map(str, times))} ({largest}): time in that of its products alone, most"
    return [Finding.small(what, max(times.values()), 2.5)]


def _growth(comparisons: Sequence[Comparison]) -> list[Finding]:
    """Compare the memory of a row at the largest and the smallest number of rows: memory is linear in n."""
    if len(comparisons) < 2:
        return []
    first, last = comparisons[0], comparisons[-1]
    what = f"{EULER_NAME}, n = {last.num_rows}: extra memory per row, of that at n = {first.num_rows}"
    return [Finding.small(what, last.bytes_a_row / first.bytes_a_row, 1.1)]


def _unit_problem(num_anchors: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    anchors = torch.randn(num_anchors, LATENT_DIM, generator=generator)
    return anchors, torch.randn(num_anchors, LATENT_DIM, generator=generator)


if __name__ == "__main__":
    main()
