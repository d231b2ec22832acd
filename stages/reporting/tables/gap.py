"""The share of the gap between unconditional and conditional generation that latents close without labels."""

from dataclasses import dataclass

from stages.measuring.quantity import Quantity, seed_by_seed
from stages.reporting.metrics import distance_metric, own_distances
from stages.reporting.results import Results
from stages.reporting.tables.names import DATA_SETS
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.table import Cell, Column, Row, Source, Table
from stages.reporting.tables.tables_params import TablesParams

NO_GAP = "conditional RF is not better than unconditional RF, so there is no gap to close"


@dataclass(frozen=True)
class Gap:
    """Distances of the images of one data set.

    Attributes:
        distance: name of the distance.
        unconditional: RF without classes.
        with_latents: RF+LZN without classes.
        conditional: RF with classes.
    """

    distance: str
    unconditional: Quantity
    with_latents: Quantity
    conditional: Quantity

    @property
    def closed(self) -> Quantity | None:
        """Share of the gap that RF+LZN closes, in percent, seed by seed; None if a seed has no gap.

        (RF - RF+LZN) / (RF - conditional RF), all with the same seed: 59 % in the paper.
        """
        gained, gap = self.unconditional.minus(self.with_latents), self.unconditional.minus(self.conditional)
        if gained is None or gap is None or min(gap.values) <= 0:
            return None
        return seed_by_seed(lambda values: 100 * values[0] / values[1], [gained, gap])


def paper_gap() -> Gap:
    """Return the gap in the FID of CIFAR10, from tables 1 and 4."""
    unconditional = paper_numbers()["table1_unconditional"]["cifar10"]
    conditional = paper_numbers()["table4_conditional_cifar10"]
    numbers = (unconditional["rf"][0], unconditional["rf_lzn"][0], conditional["rf"][0])
    return Gap("FID", *(Quantity({0: number}) for number in numbers))


def our_gaps(params: TablesParams, results: Results) -> dict[str, Gap]:
    """Return the gap of each data set that has unconditional and conditional runs."""
    gaps = {}
    for data, *runs in params.gaps():
        measured = [results.flat("measure", run) for run in runs]
        distance = next((name for name in ("fid", *own_distances(measured[0])) if name in measured[0]), None)
        same_data = {results.data_of(run) for run in runs} == {data}
        if same_data and distance is not None and all(distance in found for found in measured):
            gaps[data] = Gap(distance_metric(distance).heading, *(found[distance] for found in measured))
    return gaps


def gap_table(params: TablesParams, results: Results) -> Table:
    """Return the table with the paper's gap and ours."""
    columns = {
        "unconditional": Column("RF, unconditional"),
        "with_latents": Column("RF+LZN, unconditional"),
        "conditional": Column("RF, conditional"),
        "closed": Column("Gap closed %", "higher"),
    }
    rows = [_row(f"{paper_gap().distance}, CIFAR10", "paper", paper_gap())]
    rows += [
        _row(f"{gap.distance}, {DATA_SETS.get(data, data)}", "ours", gap)
        for data, gap in our_gaps(params, results).items()
    ]
    remarks = ["Gap closed: (RF − RF+LZN) / (RF − conditional RF), computed seed by seed."]
    return Table("gap", "The gap between unconditional and conditional generation", columns, rows, remarks)


def _row(label: str, source: Source, gap: Gap) -> Row:
    of = Cell.of if source == "ours" else lambda quantity: Cell(quantity.mean)
    cells = {
        "unconditional": of(gap.unconditional),
        "with_latents": of(gap.with_latents),
        "conditional": of(gap.conditional),
        "closed": Cell(None, NO_GAP) if gap.closed is None else of(gap.closed),
    }
    return Row(label, source, cells)
