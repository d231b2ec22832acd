"""Sums over training steps that are kept on the device, and read only now and then: reading waits for the device."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lzn.training.optimisation import Outcome


@dataclass(frozen=True)
class Totals:
    """What a `Tally` holds, as numbers.

    Attributes:
        num_skipped: skipped steps since the run's start.
        num_bad_in_a_row: skipped steps since the last one that was not.
        max_bad_in_a_row: the most of them in a row so far.
        num_summed: steps whose values are in the sums.
        sums: of the values by name.
    """

    num_skipped: int = 0
    num_bad_in_a_row: int = 0
    max_bad_in_a_row: int = 0
    num_summed: int = 0
    sums: dict[str, float] = field(default_factory=dict)


class Tally:
    """Counts steps and adds up their values, in float64 on the device."""

    def __init__(self, totals: Totals, *, device: torch.device | str) -> None:
        def on_device(number: float) -> Tensor:
            return torch.tensor(number, dtype=torch.float64, device=device)

        self.num_skipped = on_device(totals.num_skipped)
        self.num_bad_in_a_row = on_device(totals.num_bad_in_a_row)
        self.max_bad_in_a_row = on_device(totals.max_bad_in_a_row)
        self.num_summed = on_device(totals.num_summed)
        self.sums = {name: on_device(value) for name, value in totals.sums.items()}

    def count(self, outcome: Outcome | None) -> None:
        """Count a step; None is one that was skipped before it had values."""
        accepted = torch.zeros_like(self.num_summed)
        if outcome is not None:
            accepted = outcome.accepted.double()
            for name, value in outcome.values.items():
                self._add(name, torch.where(outcome.accepted, value.double(), 0.0))
        self.num_summed += accepted
        self.num_skipped += 1 - accepted
        self.num_bad_in_a_row = (self.num_bad_in_a_row + 1) * (1 - accepted)
        self.max_bad_in_a_row = torch.maximum(self.max_bad_in_a_row, self.num_bad_in_a_row)

    def read(self) -> Totals:
        """The numbers, once the device has computed them."""
        counts = [self.num_skipped, self.num_bad_in_a_row, self.max_bad_in_a_row, self.num_summed]
        numbers = torch.stack([*counts, *self.sums.values()]).tolist()
        skipped, bad_in_a_row, max_bad_in_a_row, summed = (int(number) for number in numbers[: len(counts)])
        sums = dict(zip(self.sums, numbers[len(counts) :], strict=True))
        return Totals(skipped, bad_in_a_row, max_bad_in_a_row, summed, sums)

    def restart_sums(self) -> None:
        """Begin the next mean."""
        self.num_summed = torch.zeros_like(self.num_summed)
        self.sums = {}

    def _add(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value
