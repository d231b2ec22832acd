"""Numbers measured at several settings: the points of Figures 17, 20, 24 and 25."""

from stages.measuring.quantity import NestedQuantities, Quantity
from stages.reporting.metrics import METRICS
from stages.reporting.results import Results


def distances_by_steps(run: str, results: Results) -> dict[str, dict[int, Quantity]]:
    """Return the numbers of the stage ``steps``: by distance, then by number of Euler steps."""
    return {
        name: _by_number(found) for name, found in inner(results.nested("steps", run), "distance").items()
    }


def accuracies_by_setting(run: str, results: Results) -> dict[int, dict[float, Quantity]]:
    """Return the numbers of the stage ``settings`` in percent: by batch size, then by alpha."""
    shown = METRICS["accuracy"].shown
    found = {
        int(batch_size): {
            float(alpha): shown(value) for alpha, value in by_alpha.items() if isinstance(value, Quantity)
        }
        for batch_size, by_alpha in inner(results.nested("settings", run), "accuracy").items()
    }
    return {batch_size: dict(sorted(found[batch_size].items())) for batch_size in sorted(found)}


def accuracies_along_training(run: str, results: Results) -> dict[int, Quantity]:
    """Return top-1 accuracies of the stage ``probe`` at snapshots of the training, in percent, by training step."""
    snapshots = inner(results.nested("probe", run), "along_training")
    found = {int(step): measured["top1"] for step, measured in snapshots.items()}
    shown = METRICS["top1"].shown
    return {step: shown(top1) for step, top1 in sorted(found.items()) if isinstance(top1, Quantity)}


def inner(measured: NestedQuantities, name: str) -> dict[str, NestedQuantities]:
    """Return the mappings inside the mapping ``name``; empty if there are none."""
    found = measured.get(name, {})
    assert not isinstance(found, Quantity)
    return {key: value for key, value in found.items() if not isinstance(value, Quantity)}


def _by_number(measured: NestedQuantities) -> dict[int, Quantity]:
    """Return quantities by their names as numbers, in order."""
    found = {int(name): value for name, value in measured.items() if isinstance(value, Quantity)}
    return dict(sorted(found.items()))
