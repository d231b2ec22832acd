"""Sums over training steps on the device; only reading them synchronises with the device."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lzn.training.optimisation import UpdateResult


@dataclass(frozen=True)
class Totals:
    """The content of a `DeviceTotals` as numbers.

    Attributes:
        num_skipped: number of skipped steps since the start of the run.
        num_bad_in_a_row: number of skipped steps since the last accepted one.
        max_bad_in_a_row: largest ``num_bad_in_a_row`` since the start of the run.
        num_summed: number of steps in the sums.
        sums: sums of the values by name.
    """

    num_skipped: int = 0
    num_bad_in_a_row: int = 0
    max_bad_in_a_row: int = 0
    num_summed: int = 0
    sums: dict[str, float] = field(default_factory=dict)


class DeviceTotals:
    """Counts steps and adds their values, in float64 on the device."""

    def __init__(self, totals: Totals, *, device: torch.device | str) -> None:
        def on_device(number: float) -> Tensor:
            return torch.tensor(number, dtype=torch.float64, device=device)

        self.num_skipped = on_device(totals.num_skipped)
        self.num_bad_in_a_row = on_device(totals.num_bad_in_a_row)
        self.max_bad_in_a_row = on_device(totals.max_bad_in_a_row)
        self.num_summed = on_device(totals.num_summed)
        self.sums = {name: on_device(value) for name, value in totals.sums.items()}

    def count(self, result: UpdateResult | None) -> None:
        """Count a step; None is a step that was skipped before it had values."""
        accepted = torch.zeros_like(self.num_summed)
        if result is not None:
            accepted = result.accepted.double()
            for name, value in result.values.items():
                self._add(name, torch.where(result.accepted, value.double(), 0.0))
        self.num_summed += accepted
        self.num_skipped += 1 - accepted
        self.num_bad_in_a_row = (self.num_bad_in_a_row + 1) * (1 - accepted)
        self.max_bad_in_a_row = torch.maximum(self.max_bad_in_a_row, self.num_bad_in_a_row)

    def read(self) -> Totals:
        """Return the numbers; this synchronises with the device."""
        counts = [self.num_skipped, self.num_bad_in_a_row, self.max_bad_in_a_row, self.num_summed]
        numbers = torch.stack([*counts, *self.sums.values()]).tolist()
        skipped, bad_in_a_row, max_bad_in_a_row, summed = (int(number) for number in numbers[: len(counts)])
        sums = dict(zip(self.sums, numbers[len(counts) :], strict=True))
        return Totals(skipped, bad_in_a_row, max_bad_in_a_row, summed, sums)

    def restart_sums(self) -> None:
        """Set the sums to zero for the next point of the curve."""
        self.num_summed = torch.zeros_like(self.num_summed)
        self.sums = {}

    def _add(self, name: str, value: Tensor) -> None:
        self.sums[name] = self.sums[name] + value if name in self.sums else value
