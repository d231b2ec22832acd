"""The table of metrics."""

import pytest

from stages.measuring.quantity import Quantity
from stages.reporting.metrics import METRICS, metric_of, own_distances
from stages.reporting.tables.paper_numbers import paper_table


@pytest.mark.parametrize(
    "table",
    [
        "table1_unconditional",
        "table2_linear_probe_imagenet_resnet50",
        "table4_conditional_cifar10",
        "table5_fid_implementations_unconditional",
        "table7_fid_implementations_conditional",
        "table8_alignment_cutoff",
    ],
)
def test_every_column_of_the_paper_is_a_metric(table: str) -> None:
    columns, _ = paper_table(table)
    assert set(columns) <= METRICS.keys()


def test_own_distances_are_lower_is_better_and_named_by_their_data() -> None:
    keys = own_distances(["fid", "fd_digits", "recall", "mmd_digits"])
    metrics = [metric_of(key) for key in keys]
    assert [(one.heading, one.better) for one in metrics if one is not None] == [
        ("FD (digits)", "lower"),
        ("MMD (digits)", "lower"),
    ]
    assert metric_of("seconds") is None


def test_accuracies_are_shown_in_percent() -> None:
    assert METRICS["accuracy"].shown(Quantity({0: 0.5})).by_seed == {0: 50.0}
