"""How many latents stay in their zones: the experiment of the paper's reviews, and the same with an anchor bank."""

from collections.abc import Mapping, Sequence

from stages.measuring.quantity import Quantity
from stages.reporting.metrics import NO_LABELS
from stages.reporting.results import Results
from stages.reporting.tables.names import NOT_REPORTED, not_run_yet
from stages.reporting.tables.paper_numbers import paper_numbers
from stages.reporting.tables.table import Cell, Column, Row, Table

COLUMNS = {
    "batch": Column("Batch"),
    "redrawn_batch": Column("Stay, rest redrawn %"),
    "standard_error": Column("Standard error, points"),
    "same_batch": Column("Stay, same batch %"),
    "bank_size": Column("Bank"),
    "bank": Column("Stay, bank %"),
    "accuracy_batch": Column("Acc, batches %"),
    "accuracy_bank": Column("Acc, bank %"),
}


def zone_stability_table(runs: Sequence[str], results: Results) -> Table:
    """Return the table with the paper's one number, and ours of runs that have an image encoder."""
    claims = paper_numbers()["claims"]
    share = Cell(100 * claims["latents_that_stay_in_their_zone_when_the_batch_is_redrawn"])
    empty = dict.fromkeys(COLUMNS, Cell(None, NOT_REPORTED))
    rows = [
        Row("minibatches, data and model not named", "paper", empty | {"redrawn_batch": share}),
        *(Row(run, "ours", _cells(results.flat("zones", run))) for run in runs),
    ]
    remarks = [
        "A latent is drawn from the zone of its sample in a batch. It stays if it lies in the zone of this sample in a "
        "second batch: one that shares only this sample (rest redrawn), or the same batch. For the bank, both batches "
        "are all training images.",
        "Without solver error, 100 % stay in the same batch and in the bank.",
        "The standard error is that of the share of one seed with the rest redrawn, computed from the number of "
        "latents; ± is the standard deviation over seeds.",
        "Accuracy: test images at alpha = 0, in batches of test images or singly among the training images (bank).",
    ]
    title = "Zones in minibatches and in an anchor bank (the paper's reviews)"
    return Table("zones", title, COLUMNS, rows, remarks)


def _cells(measured: Mapping[str, Quantity]) -> dict[str, Cell]:
    """Return the cells of a run; ``measured`` are the numbers of the stage ``zones`` by dotted names, or nothing."""
    if not measured:
        return not_run_yet(COLUMNS)
    return {
        "batch": Cell.setting(measured["num_anchors.batch"]),
        "redrawn_batch": Cell.of(measured["redrawn_batch.share"].times(100)),
        "standard_error": Cell.of(measured["redrawn_batch.standard_error"].times(100)),
        "same_batch": Cell.of(measured["same_batch.share"].times(100)),
        "bank_size": Cell.setting(measured["num_anchors.bank"]),
        "bank": Cell.of(measured["bank.share"].times(100)),
        **{
            f"accuracy_{name}": Cell.of(measured[f"accuracy.{name}"].times(100))
            if f"accuracy.{name}" in measured
            else Cell(None, NO_LABELS)
            for name in ("batch", "bank")
        },
    }
