"""The share of the gap between unconditional and conditional generation that latents close without labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.measuring.quantity import Quantity, seed_by_seed
from stages.reporting.metrics import NOT_RUN_YET, distance_metric, own_distances
from stages.reporting.results import Results
from stages.reporting.tables.names import DATA_SETS, recipe_remarks
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.table import Cell, Column, Row, Source, Table
from stages.reporting.tables.tables_params import TablesParams

COLUMNS = {
    "unconditional": Column("RF, unconditional"),
    "with_latents": Column("RF+LZN, unconditional"),
    "conditional": Column("RF, conditional"),
    "closed": Column("Gap closed %", "higher"),
}
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


def runs_with_gap(params: TablesParams, results: Results) -> dict[str, tuple[str, ...]]:
    """Return the runs of `Gap` for each data set that has unconditional and conditional runs."""
    named = {data: tuple(runs) for data, *runs in params.gaps()}
    return {data: runs for data, runs in named.items() if {results.data_of(run) for run in runs} == {data}}


def gap_of(runs: Sequence[str], results: Results) -> Gap | None:
    """Return the gap of three runs; None if they have no distance in common."""
    distance = _distance(runs, results)
    measured = [results.flat("measure", run) for run in runs]
    if distance is None or not all(distance in found for found in measured):
        return None
    return Gap(distance_metric(distance).heading, *(found[distance] for found in measured))


def _distance(runs: Sequence[str], results: Results) -> str | None:
    """Return the first distance that one of the runs has."""
    names = [name for run in runs for name in ("fid", *own_distances(results.flat("measure", run)))]
    return next((name for name in names if any(name in results.flat("measure", run) for run in runs)), None)


def gap_table(params: TablesParams, results: Results) -> Table:
    """Return the table with the paper's gap and ours."""
    rows = [_row(f"{paper_gap().distance}, CIFAR10", "paper", paper_gap())]
    for data, runs in runs_with_gap(params, results).items():
        name, gap = DATA_SETS.get(data, data), gap_of(runs, results)
        if gap is not None:
            rows.append(_row(f"{gap.distance}, {name}", "ours", gap))
        elif not all(results.has("measure", run) for run in runs):
            rows.append(_unfinished_row(name, runs, results))
    compared = dict.fromkeys(run for runs in runs_with_gap(params, results).values() for run in runs)
    distances = ("fid", *own_distances(name for run in compared for name in results.flat("measure", run)))
    remarks = ["Gap closed: (RF − RF+LZN) / (RF − conditional RF), computed seed by seed."]
    remarks += recipe_remarks(results, "measure", compared, dict.fromkeys(distances))
    return Table("gap", "The gap between unconditional and conditional generation", COLUMNS, rows, remarks)


def _unfinished_row(data: str, runs: Sequence[str], results: Results) -> Row:
    """Return the row of runs of which some are not measured yet."""
    distance = _distance(runs, results)
    measured = [results.flat("measure", run).get(distance or "") for run in runs]
    cells = [Cell(None, NOT_RUN_YET) if found is None else Cell.of(found) for found in measured]
    heading = "FID" if distance is None else distance_metric(distance).heading
    row = dict(zip(COLUMNS, [*cells, Cell(None, NOT_RUN_YET)], strict=True))
    return Row(f"{heading}, {data}", "ours", row)


def _row(label: str, source: Source, gap: Gap) -> Row:
    of = Cell.of if source == "ours" else lambda quantity: Cell(quantity.mean)
    cells = {
        "unconditional": of(gap.unconditional),
        "with_latents": of(gap.with_latents),
        "conditional": of(gap.conditional),
        "closed": Cell(None, NO_GAP) if gap.closed is None else of(gap.closed),
    }
    return Row(label, source, cells)
