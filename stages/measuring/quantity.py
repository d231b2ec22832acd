"""A number that involves chance: its values by seed, their mean, and how far they scatter."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from scipy.special import stdtrit


@dataclass(frozen=True)
class Quantity:
    """What was measured with each seed."""

    by_seed: Mapping[int, float]

    def __post_init__(self) -> None:
        assert self.by_seed, "a quantity has at least one value"

    @property
    def values(self) -> Sequence[float]:
        """The values, in order of their seeds."""
        return [self.by_seed[seed] for seed in sorted(self.by_seed)]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds (divided by n - 1); None with one seed, which shows no scatter."""
        if len(self.values) < 2:
            return None
        return math.sqrt(
            math.fsum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1)
        )

    def interval(self, *, confidence: float = 0.95) -> tuple[float, float] | None:
        """Student's confidence interval of the mean; None with one seed."""
        if self.std is None:
            return None
        count = len(self.values)
        quantile = float(stdtrit(count - 1, (1 + confidence) / 2))  # of Student's distribution
        reach = quantile * self.std / math.sqrt(count)
        return self.mean - reach, self.mean + reach

    def times(self, factor: float) -> Self:
        """In other units: percent instead of shares, for one."""
        return type(self)({seed: factor * value for seed, value in self.by_seed.items()})

    def minus(self, other: "Quantity") -> "Quantity | None":
        """Differences seed by seed, of the seeds that both have: runs of one seed share batches and noise.

        None where they have no seed in common.
        """
        common = self.by_seed.keys() & other.by_seed.keys()
        return (
            Quantity({seed: self.by_seed[seed] - other.by_seed[seed] for seed in common}) if common else None
        )


Nested = Mapping[str, "float | Nested"]
"""What a stage measures with one seed: numbers under dotted names, one level a dot."""
NestedQuantities = Mapping[str, "Quantity | NestedQuantities"]


def combine_seeds(by_seed: Mapping[int, Nested]) -> dict[str, "Quantity | NestedQuantities"]:
    """The same names with quantities for numbers; a name that only some seeds have keeps those seeds."""
    names = dict.fromkeys(name for measured in by_seed.values() for name in measured)
    combined: dict[str, Quantity | NestedQuantities] = {}
    for name in names:
        found = {seed: measured[name] for seed, measured in by_seed.items() if name in measured}
        deeper = {seed: value for seed, value in found.items() if isinstance(value, Mapping)}
        numbers = {seed: float(value) for seed, value in found.items() if not isinstance(value, Mapping)}
        combined[name] = combine_seeds(deeper) if deeper else Quantity(numbers)
    return combined


def flatten_quantities(nested: NestedQuantities, prefix: str = "") -> dict[str, Quantity]:
    """By dotted names."""
    flat: dict[str, Quantity] = {}
    for name, value in nested.items():
        if isinstance(value, Quantity):
            flat[prefix + name] = value
        else:
            flat |= flatten_quantities(value, f"{prefix}{name}.")
    return flat


def means_and_deviations(nested: NestedQuantities) -> dict[str, object]:
    """For people and ``dvc metrics``: each quantity as its mean and, with several seeds, standard deviation."""
    content: dict[str, object] = {}
    for name, value in nested.items():
        if not isinstance(value, Quantity):
            content[name] = means_and_deviations(value)
        elif value.std is None:
            content[name] = {"mean": value.mean}
        else:
            content[name] = {"mean": value.mean, "std": value.std}
    return content
