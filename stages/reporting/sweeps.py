"""What stages measured at several settings: the points of Figures 17, 20, 24 and 25."""

from stages.measuring.quantity import NestedQuantities, Quantity
from stages.reporting.results import Results


def inner(measured: NestedQuantities, *names: str) -> dict[str, NestedQuantities]:
    """The mapping below a path of names."""
    for name in names:
        found = measured.get(name, {})
        assert not isinstance(found, Quantity)
        measured = found
    return {name: value for name, value in measured.items() if not isinstance(value, Quantity)}


def numbered(measured: NestedQuantities) -> dict[int, Quantity]:
    """Quantities by numbers that JSON has as strings, in order."""
    found = {int(name): value for name, value in measured.items() if isinstance(value, Quantity)}
    return dict(sorted(found.items()))


def distances_by_steps(run: str, results: Results) -> dict[str, dict[int, Quantity]]:
    """What ``steps`` found: by distance, then by number of Euler steps."""
    return {name: numbered(found) for name, found in inner(results.of("steps", run), "distance").items()}


def accuracies_by_setting(run: str, results: Results) -> dict[int, dict[float, Quantity]]:
    """What ``settings`` found, in percent: by batch size, then by alpha."""
    found = {
        int(batch_size): {
            float(alpha): value.times(100) for alpha, value in by_alpha.items() if isinstance(value, Quantity)
        }
        for batch_size, by_alpha in inner(results.of("settings", run), "accuracy").items()
    }
    return {batch_size: dict(sorted(found[batch_size].items())) for batch_size in sorted(found)}


def accuracies_along_training(run: str, results: Results) -> dict[int, Quantity]:
    """What ``probe`` found at snapshots: top-1 in percent by training step."""
    snapshots = inner(results.of("probe", run), "along_training")
    found = {int(step): measured["top1"] for step, measured in snapshots.items()}
    return {step: top1.times(100) for step, top1 in sorted(found.items()) if isinstance(top1, Quantity)}
