"""Claims of Figure 25: batch size and alpha when images are classified."""

from collections.abc import Iterator, Mapping
from typing import Any

from stages.measuring.quantity import Quantity, mean_of
from stages.reporting.claims.claim import NO_RUNS, Claim, Statement, Study, arrow
from stages.reporting.results import Results
from stages.reporting.sweeps import accuracies_by_setting
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.tables_params import TablesParams

SOURCE = "§ E.4, Figure 25"
Grid = Mapping[int, Mapping[float, Quantity]]
"""Accuracies in percent by batch size, then by alpha."""


def setting_claims(params: TablesParams, results: Results) -> Iterator[Claim]:
    """Yield the claims about larger batches, smaller alpha, and the best of both against the setting of training."""
    best_minus_default = paper_numbers()["figure25_classification"]["best_minus_default_points"]
    batches = Statement(Study.CLASSIFICATION, "Larger batches classify better", SOURCE, "better")
    alphas = Statement(Study.CLASSIFICATION, "Smaller alpha classifies better", SOURCE, "better")
    text = "The best batch size and alpha are better than those of training with alpha = 1"
    best = Statement(Study.CLASSIFICATION, text, SOURCE, f"+{best_minus_default:g} points")
    run = params.classification.get("rf_lzn")
    if run is None or not results.has("settings", run):
        for statement in (batches, alphas, best):
            yield statement.waiting(results, "settings", run) or statement.not_measurable(NO_RUNS)
        return
    grid = accuracies_by_setting(run, results)
    sizes, values = list(grid), list(next(iter(grid.values())))
    yield batches.compared(
        mean_of([grid[sizes[0]][alpha] for alpha in values]),
        mean_of([grid[sizes[-1]][alpha] for alpha in values]),
        "higher",
        note=f"Accuracy with batches of {sizes[0]} → {sizes[-1]} images, percent, mean over alpha.",
        unit=" %",
        missing="no seed has all settings",
    )
    yield alphas.compared(
        mean_of([grid[size][values[-1]] for size in sizes]),
        mean_of([grid[size][values[0]] for size in sizes]),
        "higher",
        note=f"Accuracy with alpha = {values[-1]:g} → {values[0]:g}, percent, mean over batch sizes.",
        unit=" %",
        missing="no seed has all settings",
    )
    yield _best(best, grid, default_size=_training_batch_size(results, run))


def _best(statement: Statement, grid: Grid, *, default_size: int) -> Claim:
    default = grid.get(default_size, {}).get(1.0)
    if default is None:
        return statement.not_measurable(
            f"the setting of training (batches of {default_size}, alpha = 1) was not measured"
        )
    settings = {(size, alpha): found for size, by_alpha in grid.items() for alpha, found in by_alpha.items()}
    del settings[default_size, 1.0]  # equal to itself, so the claim could not fail
    if not settings:
        return statement.not_measurable("no other setting than that of training was measured")
    size, alpha = max(settings, key=lambda setting: settings[setting].mean)
    found = settings[size, alpha].minus(default)
    if found is None:
        return statement.not_measurable("the settings have no seed in common")
    note = (
        f"Percentage points. The best of the {len(settings)} other settings is batches of {size}, alpha = {alpha:g}. "
        "It is selected by these same numbers, which favours the claim."
    )
    return statement.judged(found, ours=f"{arrow(default, settings[size, alpha])} %", above=0, note=note)


def _training_batch_size(results: Results, run: str) -> int:
    configuration: Mapping[str, Any] = next(iter(results.configurations(run).values()))
    return int(configuration["run"]["training"]["batch_size"])
