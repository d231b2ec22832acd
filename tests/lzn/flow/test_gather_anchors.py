"""Anchors of several processes: gradients equal those of one process, also under DistributedDataParallel."""

from pathlib import Path

import pytest
import torch
from lzn_testing.processes.distributed_jobs import (
    gather_in_a_group,
    gather_uneven_anchors,
    gradients_under_ddp,
)
from lzn_testing.processes.real_processes import alone, run_in_processes

from lzn.flow import gather_anchors


@pytest.mark.parametrize("count", [2, 4])
def test_under_ddp_gradients_of_an_encoder_equal_those_of_one_process(count: int, tmp_path: Path) -> None:
    expected = alone(gradients_under_ddp)
    for gradients in run_in_processes(count, gradients_under_ddp, folder=tmp_path):
        norm = sum(float(gradient.square().sum()) for gradient in expected) ** 0.5
        for gradient, one in zip(gradients, expected, strict=True):
            # Float32 rounding of the sums over the batch; without the others' gradients the error is near 1.
            assert float((gradient - one).norm()) < 1e-5 * norm


def test_processes_can_have_different_numbers_of_anchors(tmp_path: Path) -> None:
    results = run_in_processes(3, gather_uneven_anchors, folder=tmp_path)
    assert [rows for _, rows, _ in results] == [[0], [1, 2], [3, 4, 5]]
    for anchors, _, message in results:
        assert anchors.dtype == torch.float64
        assert anchors[:, 0].tolist() == [0, 1, 1, 2, 2, 2]
        assert message == "processes have [1, 2, 3] anchors: give these numbers as sizes"


def test_anchors_are_gathered_in_a_group_of_processes(tmp_path: Path) -> None:
    results = run_in_processes(4, gather_in_a_group, folder=tmp_path)
    assert [anchors[:, 0].tolist() for anchors, _ in results] == [[0, 1], [0, 1], [2, 3], [2, 3]]
    assert [rows for _, rows in results] == [[0], [1], [0], [1]]


def test_a_single_process_gets_its_own_anchors() -> None:
    own = torch.randn(3, 2)
    anchors, rows = gather_anchors(own)
    assert torch.equal(anchors.float(), own)
    assert rows == slice(0, 3)


def test_anchors_that_are_not_a_matrix_are_an_error() -> None:
    with pytest.raises(ValueError, match="anchors must be a floating-point tensor"):
        gather_anchors(torch.zeros(3))
