"""A number measured with each seed: its mean, standard deviation and confidence interval."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from lzn.base.nested import flatten
from lzn.base.number_format import with_deviation


@dataclass(frozen=True)
class Quantity:
    """The value measured with each seed; at least one."""

    by_seed: Mapping[int, float]

    def __post_init__(self) -> None:
        assert self.by_seed, "a quantity has at least one value"

    @property
    def values(self) -> Sequence[float]:
        """The values in the order of their seeds."""
        return [self.by_seed[seed] for seed in sorted(self.by_seed)]

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds (divided by n - 1); None with one seed."""
        if len(self.values) < 2:
            return None
        return math.sqrt(
            math.fsum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1)
        )

    @property
    def text(self) -> str:
        """Mean and standard deviation, such as ``12.1 ± 0.8``."""
        return with_deviation(self.mean, self.std)

    def interval(self, *, confidence: float = 0.95) -> tuple[float, float] | None:
        """Return Student's confidence interval of the mean; None with one seed."""
        if self.std is None:
            return None
        from scipy.special import stdtrit  # noqa: PLC0415 - takes 0.2 s; most stages compute no interval

        count = len(self.values)
        quantile = float(stdtrit(count - 1, (1 + confidence) / 2))  # of Student's distribution
        reach = quantile * self.std / math.sqrt(count)
        return self.mean - reach, self.mean + reach

    def times(self, factor: float) -> Self:
        """Return the quantity in another unit, for example percent: each value times ``factor``."""
        return type(self)({seed: factor * value for seed, value in self.by_seed.items()})

    def minus(self, other: "Quantity") -> "Quantity | None":
        """Return the differences seed by seed; None if no seed is in both.

        Runs with the same seed see the same batches and noise, so their differences vary less than their values.
        """
        return seed_by_seed(lambda values: values[0] - values[1], [self, other])


def seed_by_seed(
    function: Callable[[Sequence[float]], float], quantities: Sequence[Quantity]
) -> Quantity | None:
    """Apply ``function`` to the values of each seed that all ``quantities`` have; None if there is no such seed."""
    if not quantities:
        return None
    common = sorted(set.intersection(*(set(one.by_seed) for one in quantities)))
    values = {seed: function([one.by_seed[seed] for one in quantities]) for seed in common}
    return Quantity(values) if values else None


def mean_of(quantities: Sequence[Quantity]) -> Quantity | None:
    """Return the mean of several quantities, seed by seed; None if no seed is in all of them."""
    return seed_by_seed(lambda values: math.fsum(values) / len(values), quantities)


Nested = Mapping[str, "float | Nested"]
"""Numbers of one seed in nested mappings by name."""
NestedQuantities = Mapping[str, "Quantity | NestedQuantities"]
"""The same names with a quantity in place of each number."""


def combine_seeds(by_seed: Mapping[int, Nested]) -> dict[str, "Quantity | NestedQuantities"]:
    """Combine the numbers of several seeds; a name that only some seeds have becomes a quantity of those seeds."""
    names = dict.fromkeys(name for measured in by_seed.values() for name in measured)
    combined: dict[str, Quantity | NestedQuantities] = {}
    for name in names:
        found = {seed: measured[name] for seed, measured in by_seed.items() if name in measured}
        deeper = {seed: value for seed, value in found.items() if isinstance(value, Mapping)}
        numbers = {seed: float(value) for seed, value in found.items() if not isinstance(value, Mapping)}
        combined[name] = combine_seeds(deeper) if deeper else Quantity(numbers)
    return combined


def flatten_quantities(nested: NestedQuantities) -> dict[str, Quantity]:
    """Return the quantities by dotted names."""
    return flatten(nested)


def means_and_deviations(nested: NestedQuantities) -> dict[str, object]:
    """Return each quantity as its mean and, with several seeds, standard deviation; for ``dvc metrics``."""
    content: dict[str, object] = {}
    for name, value in nested.items():
        if not isinstance(value, Quantity):
            content[name] = means_and_deviations(value)
        elif value.std is None:
            content[name] = {"mean": value.mean}
        else:
            content[name] = {"mean": value.mean, "std": value.std}
    return content
