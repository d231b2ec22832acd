"""Losses and accuracies at the end of training; the paper has no such table."""

from collections.abc import Mapping, Sequence

from stages.reporting.results import Results
from stages.reporting.tables.names import not_run_yet
from stages.reporting.tables.table import Cell, Column, Row, Table

COLUMNS = {
    "step": Column("Steps"),
    "rectified_flow": Column("RF loss"),
    "alignment": Column("Alignment loss"),
    "alignment_accuracy": Column("Alignment acc %"),
    "skipped_steps": Column("Skipped steps"),
}


def training_table(runs: Sequence[str], results: Results) -> Table:
    """Return the table of ``runs``; imported ones are left out."""
    remarks = [
        "Losses are means over the last tenth of training. Runs with equal seeds and batch sizes see the same batches, "
        "noise and times.",
        "Alignment accuracy: share of training samples whose latent, drawn at the run's alpha, arrives at its own "
        "target (the paper: above 95 % for case study 3).",
        *(
            f"FD and MMD ({data}) use the features of a classifier with a test accuracy of "
            f"{100 * measured['accuracy']:.1f} %.{_distance_of_test_images(measured)}"
            for data, measured in results.classifiers().items()
        ),
    ]
    rows = [
        _row(run, results) if results.is_trained(run) else Row(run, "ours", not_run_yet(COLUMNS))
        for run in runs
        if results.is_trained(run) or not results.configurations(run)
    ]
    return Table("training", "Training (not in the paper)", COLUMNS, rows, remarks)


def _distance_of_test_images(measured: Mapping[str, float]) -> str:
    if "fd_of_test_images" not in measured:
        return ""
    return (
        f" The FD of the test images from the training images is {measured['fd_of_test_images']:.4g}, for comparison "
        "with the FDs above."
    )


def _row(run: str, results: Results) -> Row:
    end = dict(results.end_of_training(run))
    # A study with one loss calls it "loss". It is the alignment loss if there is an alignment accuracy.
    if "alignment_accuracy" not in end:
        end["rectified_flow"] = end["loss"]
    elif "alignment" not in end:
        end["alignment"] = end["loss"]
    if "alignment_accuracy" in end:
        end["alignment_accuracy"] = end["alignment_accuracy"].times(100)
    cells = {
        name: Cell.of(end[name]) if name in end else Cell(None, "not part of this run's loss")
        for name in COLUMNS
    }
    cells |= {name: Cell.setting(end[name]) for name in ("step", "skipped_steps")}
    return Row(run, "ours", cells)
