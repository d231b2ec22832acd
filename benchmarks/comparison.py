"""Compare our code with the literal version and with the matrix products alone: one line of a table."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.measuring import Cost
from benchmarks.products import Products
from benchmarks.reports import print_row

_WIDTHS = (44, 10, 10, 8, 15, 8, 12, 10, 16)
_HEADER = ("", "literal", "ours", "faster", "products alone", "ours/it", "literal", "ours", "ours per row")
_MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Costs of one computation.

    Attributes:
        what: name of the computation.
        num_rows: number of samples.
        ours: cost of the library's code.
        literal: cost of the formulas as they are written; None where they need too much memory.
        products: number of matrix products that the computation needs; None where they were not counted.
        products_alone: cost of these products alone.
    """

    what: str
    num_rows: int
    ours: Cost
    literal: Cost | None = None
    products: Products | None = None
    products_alone: Cost | None = None

    @property
    def name(self) -> str:
        """The computation and its number of samples."""
        return f"{self.what}, n = {self.num_rows}"

    @property
    def times_faster(self) -> float | None:
        """Seconds of the literal version divided by ours."""
        return None if self.literal is None else self.literal.seconds / self.ours.seconds

    @property
    def share_of_memory(self) -> float | None:
        """Our extra peak memory divided by the literal version's."""
        return None if self.literal is None else self.ours.extra_bytes / self.literal.extra_bytes

    @property
    def times_products(self) -> float | None:
        """Our seconds divided by those of the products alone."""
        return None if self.products_alone is None else self.ours.seconds / self.products_alone.seconds

    @property
    def bytes_a_row(self) -> float:
        """Our extra peak memory divided by the number of samples."""
        return self.ours.extra_bytes / self.num_rows

    def as_row(self) -> dict[str, Any]:
        """Return costs and ratios as values that JSON can hold."""
        ratios = {
            "times_faster": self.times_faster,
            "share_of_memory": self.share_of_memory,
            "times_products": self.times_products,
            "bytes_a_row": self.bytes_a_row,
        }
        return {**asdict(self), **ratios}

    def print(self) -> None:
        """Print one line of the table."""
        cells = (
            self.name,
            _seconds(self.literal),
            _seconds(self.ours),
            "" if self.times_faster is None else f"{self.times_faster:.0f}x",
            _seconds(self.products_alone),
            "" if self.times_products is None else f"{self.times_products:.2f}x",
            _mebibytes(self.literal),
            _mebibytes(self.ours),
            f"{self.bytes_a_row / 1024:.1f} KiB",
        )
        print_row(cells, widths=_WIDTHS)


def print_header() -> None:
    """Print the header of the lines of `Comparison.print`."""
    print_row(_HEADER, widths=_WIDTHS)


def _seconds(cost: Cost | None) -> str:
    return "" if cost is None else f"{cost.seconds:.3f} s"


def _mebibytes(cost: Cost | None) -> str:
    return "" if cost is None else f"{cost.extra_bytes / _MEBIBYTE:.0f} MiB"
