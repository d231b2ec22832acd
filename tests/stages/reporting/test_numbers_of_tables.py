"""Every column's direction, every deviation and every footnote of the tables, from made-up numbers."""

from collections.abc import Mapping

import pytest
from lzn_testing.projects.claims_of_runs import PARAMS, RUNS
from lzn_testing.projects.numbers_of_runs import NumbersOfRuns, over_seeds

from stages.reporting.metrics import NO_LABELS
from stages.reporting.tables import fill_tables
from stages.reporting.tables.gap import NO_GAP
from stages.reporting.tables.names import NOT_REPORTED
from stages.reporting.tables.table import Relation, Row, Table

pytestmark = pytest.mark.usefixtures("folder")
IMAGE_METRICS = (
    "fid",
    "sfid",
    "is",
    "precision",
    "recall",
    "cmmd",
    "reconstruction",
    "fid_rf",
    "fid_clean",
    "fd_own",
)
DIRECTIONS = {
    "table1": ["FID ↓", "sFID ↓", "IS ↑", "Precision ↑", "Recall ↑", "CMMD ↓", "Recon ↓", "FD (own) ↓"],
    "table2": ["Top-1 % ↑", "Top-5 % ↑"],
    "table3": ["Acc % ↑"],
    "table4": ["FID ↓", "sFID ↓", "IS ↑", "Precision ↑", "Recall ↑", "CMMD ↓", "Recon ↓", "FD (own) ↓"],
    "joint_unconditional": ["FID ↓", "sFID ↓", "IS ↑", "Precision ↑", "Recall ↑", "CMMD ↓", "FD (own) ↓"],
    "table5": ["FID (clean) ↓", "FID (RF) ↓", "FID (CM) ↓", "FD (own) ↓"],
    "table6": ["Top-1 % ↑", "Top-5 % ↑"],
    "table7": ["FID (clean) ↓", "FID (RF) ↓", "FID (CM) ↓", "FD (own) ↓"],
    "table8": ["FID ↓", "sFID ↓", "IS ↑", "Precision ↑", "Recall ↑", "Recon ↓", "Acc % ↑", "FD (own) ↓"],
    "gap": ["RF, unconditional", "RF+LZN, unconditional", "RF, conditional", "Gap closed % ↑"],
    "figure17": ["2 steps ↓", "10 steps ↓"],
    "figure24": ["2 steps ↓", "10 steps ↓"],
    "figure20": ["step 0 ↑", "step 50 ↑", "step 200 ↑"],
    "figure25": ["alpha = 0 ↑", "alpha = 1 ↑"],
    "tsne": ["Mean of dim 1", "Std of dim 1", "Mean of dim 2", "Std of dim 2"],
    "zones": [
        "Batch",
        "Stay, rest redrawn %",
        "Standard error, points",
        "Stay, same batch %",
        "Bank",
        "Stay, bank %",
        "Acc, batches %",
        "Acc, bank %",
    ],
    "training": ["Steps", "RF loss", "Alignment loss", "Alignment acc %", "Skipped steps"],
}
"""The columns of all tables with arrows to the better numbers, in their order."""
COMPARED = [
    ("table1", "RF+LZN, CIFAR10"),
    ("table3", "RF+LZN, CIFAR10"),
    ("table4", "RF+LZN, CIFAR10"),
    ("table5", "RF+LZN, CIFAR10"),
    ("table7", "RF+LZN, CIFAR10"),
    ("table8", "RF+LZN, u = 20, CIFAR10"),
    ("table8", "RF+LZN, u = 5, CIFAR10"),
    ("table2", "LZN, without head, ImageNet"),
    ("figure17", "RF+LZN, FID, CIFAR10"),
    ("figure24", "RF+LZN, FID, CIFAR10"),
]
"""Rows with a baseline; all their numbers are higher than those of the baseline."""


def made_up(*, higher: float = 1.0) -> NumbersOfRuns:
    """Write numbers 10 and 12 for the baselines, and ``higher`` more for the runs compared with them."""
    numbers = NumbersOfRuns()
    curve = [
        {"step": 10.0 * (row + 1), "skipped_steps": 2.0, "loss": 1.0, "alignment_accuracy": 0.5}
        for row in range(20)
    ]
    curve[-1] |= {"loss": 3.0, "alignment_accuracy": 0.7}  # the last tenth are two rows
    for run, data in RUNS.items():
        rows = [row | {"rectified_flow": 4.0} for row in curve] if run == "joint" else curve
        if run.startswith("rf"):
            rows = [{name: row[name] for name in ("step", "skipped_steps", "loss")} for row in curve]
        numbers.train(run, data, curves=[rows, [row | {"loss": row["loss"] + 1} for row in rows]])
        more = higher if run in ("rf_lzn", "joint", "joint_u5", "rf_lzn_faces") else 0.0
        values = dict.fromkeys(IMAGE_METRICS, (10 + more, 12 + more))
        numbers.write("measure", run, over_seeds(**values))
        numbers.write(
            "steps", run, [{"distance": {"fid": {"2": v, "10": v / 2}}} for v in (10 + more, 12 + more)]
        )
        if run.startswith("joint"):
            gain = 0.0 if run == "joint_no_gen" else higher
            numbers.write("classify", run, over_seeds(accuracy=((50 + gain) / 100, (52 + gain) / 100)))
    numbers.write("settings", "joint", [{"accuracy": {"32": {"0.0": v, "1.0": v / 2}}} for v in (0.5, 0.7)])
    trained, untrained = ({"top1": 0.5, "top5": 0.6}, {"top1": 0.4, "top5": 0.5})
    probed = {
        "trained": {"without_head": trained},
        "untrained": {"without_head": untrained},
        "along_training": {"0": {"top1": 0.1}, "200": {"top1": 0.3}, "50": {"top1": 0.2}},
    }
    numbers.write("probe", "representation", [probed, probed])
    point = {"mean_1": 1.0, "std_1": 2.0, "mean_2": 3.0, "std_2": 4.0}
    numbers.write("tsne", "representation", [{"classes": {"1": point}, "all": {**point, "std_1": 20.0}}])
    zones = {
        "num_anchors": {"batch": 128, "bank": 1000},
        "redrawn_batch": {"share": 0.5, "standard_error": 0.01},
        "same_batch": {"share": 0.9},
        "bank": {"share": 1.0},
    }
    second = zones | {"redrawn_batch": {"share": 0.6, "standard_error": 0.03}}
    numbers.write("zones", "rf_lzn", [zones, second])
    numbers.write("zones", "joint", [zones | {"accuracy": {"batch": 0.8, "bank": 0.7}}])
    return numbers


def tables_of(numbers: NumbersOfRuns) -> Mapping[str, Table]:
    families = {"generative": dict.fromkeys(RUNS, ""), "encoding": {"rf_lzn": "", "joint": ""}}
    return {table.name: table for table in fill_tables(PARAMS, families, numbers.results)}


def row_of(table: Table, label: str) -> Row:
    (found,) = (row for row in table.rows if row.label == label and row.source == "ours")
    return found


def texts(table: Table, label: str) -> list[str]:
    """Return the cells of one of our rows: the number with its deviation, or the reason."""
    cells = row_of(table, label).cells
    return [cells[name].reason or cells[name].text for name in table.columns]


def test_every_column_says_which_numbers_are_better() -> None:
    tables = tables_of(made_up())
    titles = {name: [column.title for column in table.columns.values()] for name, table in tables.items()}
    assert titles == DIRECTIONS


@pytest.mark.parametrize("higher", [1.0, -1.0])
@pytest.mark.parametrize(("name", "label"), COMPARED)
def test_a_higher_number_is_better_or_worse_as_its_column_says(name: str, label: str, higher: float) -> None:
    table = tables_of(made_up(higher=higher))[name]
    row = row_of(table, label)
    is_higher = higher > 0 or name == "table2"  # the probe's numbers do not depend on it
    for column, content in table.columns.items():
        if row.cells[column].value is None or table.relation(row, column) is None:
            assert (name, column) == ("table8", "accuracy")  # RF does not classify, so there is no baseline
            continue
        expected = Relation.BETTER if (content.better == "higher") == is_higher else Relation.WORSE
        assert table.relation(row, column) is expected, column


def test_numbers_have_their_unit_and_the_deviation_of_their_seeds() -> None:
    """The deviation of two numbers is their difference over the root of 2."""
    tables = tables_of(made_up())
    eleven, twelve = "11.0 ± 1.4", "12.0 ± 1.4"
    assert texts(tables["table1"], "RF, CIFAR10") == [eleven] * 8
    assert texts(tables["table1"], "RF+LZN, CIFAR10") == [twelve] * 8
    assert texts(tables["table3"], "RF+LZN (no gen), CIFAR10") == ["51.0 ± 1.4"]
    assert texts(tables["table5"], "RF, CelebA-HQ") == [eleven] * 4
    assert texts(tables["table2"], "LZN, without head, ImageNet") == ["50 ± 0", "60 ± 0"]
    assert texts(tables["figure17"], "RF+LZN, FID, CIFAR10") == [twelve, "6.0 ± 0.7"]
    assert texts(tables["figure24"], "RF, FID, CIFAR10") == [eleven, "5.5 ± 0.7"]
    assert texts(tables["figure20"], "LZN, without head, ImageNet") == ["10 ± 0", "20 ± 0", "30 ± 0"]
    assert texts(tables["figure25"], "batch size 32") == ["60 ± 14", "30 ± 7"]
    assert texts(tables["tsne"], "class 1, ImageNet") == ["1", "2", "3", "4"]
    assert texts(tables["tsne"], "all, ImageNet") == ["1", "20", "3", "4"]
    assert texts(tables["zones"], "rf_lzn") == [
        "128", "55 ± 7", "2.0 ± 1.4", "90 ± 0", "1000", "100 ± 0", NO_LABELS, NO_LABELS,
    ]  # fmt: skip
    assert texts(tables["zones"], "joint") == ["128", "50", "1", "90", "1000", "100", "80", "70"]


def test_the_end_of_training_is_the_mean_of_the_last_tenth_under_the_right_loss() -> None:
    table = tables_of(made_up())["training"]
    missing = "not part of this run's loss"
    # The losses of the seeds are (1 + 3) / 2 and one more, so 2.5 ± 0.7; the accuracy is (50 + 70) / 2.
    assert texts(table, "rf") == ["200", "2.5 ± 0.7", missing, missing, "2"]
    assert texts(table, "representation") == ["200", missing, "2.5 ± 0.7", "60 ± 0", "2"]
    assert texts(table, "joint")[:2] == ["200", "4 ± 0"]


def test_the_gap_is_computed_seed_by_seed() -> None:
    numbers = made_up()
    for run, fids in (("rf", (10.0, 20.0)), ("rf_lzn", (8.0, 19.0)), ("rf_conditional", (6.0, 10.0))):
        numbers.write("measure", run, over_seeds(fid=fids))
    # 2 of 4, and 1 of 10: 50 and 10 %
    assert texts(tables_of(numbers)["gap"], "FID, CIFAR10") == ["15 ± 7", "14 ± 8", "8 ± 3", "30 ± 28"]
    numbers.write("measure", "rf_conditional", over_seeds(fid=(6.0, 20.0)))
    assert texts(tables_of(numbers)["gap"], "FID, CIFAR10")[-1] == NO_GAP


def test_the_gap_of_the_paper_is_that_of_its_tables() -> None:
    (row,) = (row for row in tables_of(made_up())["gap"].rows if row.source == "paper")
    # (2.76 - 2.59) / (2.76 - 2.47)
    assert [row.cells[name].text for name in row.cells] == ["2.76", "2.59", "2.47", "58.62"]


@pytest.mark.parametrize(
    ("label", "reasons"),
    [
        (
            "RF, CIFAR10",
            {
                "fid": "not measured: it needs Inception features, which are made for natural images",
                "is": "not measured: it needs Inception features, which are made for natural images",
                "precision": "not measured: the section features names no network for these data",
                "cmmd": "not measured: this metric needs CLIP embeddings",
                "recon": "not measured",
            },
        ),
        ("RF+LZN, CIFAR10", {"fid": "not measured: too few images"}),
    ],
)
def test_an_empty_cell_has_the_reason_of_its_metric_or_of_its_run(
    label: str, reasons: Mapping[str, str]
) -> None:
    numbers = NumbersOfRuns()
    for run, data in RUNS.items():
        numbers.train(run, data)
        numbers.write("measure", run, over_seeds(seconds=(1.0, 2.0)))
    numbers.write("classify", "joint", over_seeds(accuracy=(0.5,)))
    numbers.write("classify", "joint_no_gen", over_seeds(accuracy=(0.5,)))
    reason_of_run = numbers.paths.metrics_folder("measure") / "rf_lzn" / "not_measured_0.json"
    reason_of_run.write_text('{"fid": "too few images"}')
    cells = row_of(tables_of(numbers)["table1"], label).cells
    assert {name: cells[name].reason for name in reasons} == reasons
    paper = next(row for row in tables_of(numbers)["table8"].rows if row.source == "paper")
    assert paper.cells["accuracy"].reason == NOT_REPORTED


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ((1, 1), "one seed"),
        ((3, 3), "3 seeds"),
        ((1, 3), "one seed or 3 seeds"),
        ((3, 1), "one seed or 3 seeds"),
    ],
)
def test_the_footnote_counts_the_seeds_of_our_rows(seeds: tuple[int, int], text: str) -> None:
    numbers = NumbersOfRuns()
    for run, count in zip(("joint_no_gen", "joint"), seeds, strict=True):
        numbers.train(run, "digits", num_seeds=count)
        numbers.write("classify", run, over_seeds(accuracy=[0.5] * count))
    for run in RUNS:
        if not run.startswith("joint_no") and run != "joint":
            numbers.train(run, "cifar10")
    (remark,) = tables_of(numbers)["table3"].remarks
    advice = "Compare rows of the same source only: data, networks or training may differ."
    assert remark == f"Our rows: digits, {text}. {advice}"


def test_the_footnote_of_the_training_names_the_classifier_of_each_data_set() -> None:
    numbers = made_up()
    numbers.write_classifier("digits", {"accuracy": 0.98765, "fd_of_test_images": 2.34567})
    numbers.write_classifier("fashion", {"accuracy": 0.9})
    *_, digits, fashion = tables_of(numbers)["training"].remarks
    assert digits == (
        "FD and MMD (digits) use the features of a classifier with a test accuracy of 98.8 %. The FD of the test "
        "images from the training images is 2.346, for comparison with the FDs above."
    )
    assert fashion == "FD and MMD (fashion) use the features of a classifier with a test accuracy of 90.0 %."
