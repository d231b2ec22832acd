"""How many latents keep their zones: the experiment of the paper's reviews, and the anchor bank beside it."""

from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML

from stages.paper_tables import NO_LABELS, NOT_REPORTED, PAPER_NUMBERS
from stages.results import Results
from stages.table import Cell, Row, Table

COLUMNS = {
    "batch": "Batch",
    "redrawn_batch": "Stay, rest redrawn % ↑",
    "standard_error": "± points",
    "same_batch": "Stay, same batch % ↑",
    "bank_size": "Bank",
    "bank": "Stay, bank % ↑",
    "accuracy_batch": "Acc, batches % ↑",
    "accuracy_bank": "Acc, bank % ↑",
}


def zones_table(results: Results, *, runs: Sequence[str]) -> Table:
    """The paper's one number, and ours of runs that have an image encoder."""
    claims = YAML(typ="safe").load(PAPER_NUMBERS)["claims"]
    share = Cell(100 * claims["latents_that_stay_in_their_zone_when_the_batch_is_redrawn"])
    nothing = dict.fromkeys(COLUMNS, Cell(None, NOT_REPORTED))
    rows = [
        Row("minibatches, data and model not named", "paper", nothing | {"redrawn_batch": share}),
        *(Row(run, "ours", _cells(results.zones(run))) for run in runs),
    ]
    remarks = [
        "A latent is drawn from its sample's zone among one batch; it stays if it lies in the sample's zone among "
        "another batch (rest redrawn), the same one, or for the bank among all training images.",
        "In truth all latents stay in the same batch and in the bank: what is missing there is the solver's error.",
        "± is the standard error of the share with the rest redrawn.",
        "Accuracy: test images at alpha = 0, in batches among each other, and with the bank each by itself among the "
        "training images.",
    ]
    return Table(
        "zones", "Zones in minibatches and in an anchor bank (the paper's reviews)", COLUMNS, rows, remarks
    )


def _cells(measured: Mapping[str, Mapping[str, float]]) -> dict[str, Cell]:
    """``measured`` is what the stage ``zones`` wrote."""
    accuracy = measured.get("accuracy", {})
    return {
        "batch": Cell(measured["num_anchors"]["batch"]),
        "redrawn_batch": Cell(100 * measured["redrawn_batch"]["share"]),
        "standard_error": Cell(100 * measured["redrawn_batch"]["standard_error"]),
        "same_batch": Cell(100 * measured["same_batch"]["share"]),
        "bank_size": Cell(measured["num_anchors"]["bank"]),
        "bank": Cell(100 * measured["bank"]["share"]),
        **{
            f"accuracy_{name}": Cell(100 * accuracy[name]) if name in accuracy else Cell(None, NO_LABELS)
            for name in ("batch", "bank")
        },
    }
