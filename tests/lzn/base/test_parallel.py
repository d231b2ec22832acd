"""Shares of a batch, and collective operations in real processes."""

from pathlib import Path

import pytest
import torch
from lzn_testing.processes.process_jobs import (
    TOTAL,
    fill_buckets,
    gathered_and_gradient,
    labels_and_conditions,
    sums_and_broadcasts,
)
from lzn_testing.processes.real_processes import alone, run_in_processes

from lzn.base.parallel import BatchShare, Processes, join_processes


@pytest.mark.parametrize(("batch_size", "count"), [(8, 2), (7, 2), (7, 4), (5, 5), (2000, 16), (11, 3)])
def test_shares_cover_the_batch_once_in_order_and_differ_by_at_most_one_row(
    batch_size: int, count: int
) -> None:
    shares = [Processes(rank, count).share_of(batch_size) for rank in range(count)]
    assert [row for share in shares for row in range(batch_size)[share.rows]] == list(range(batch_size))
    sizes = {share.count for share in shares}
    assert max(sizes) - min(sizes) <= 1
    assert sum(share.weight for share in shares) == pytest.approx(1.0)


def test_a_batch_with_fewer_rows_than_processes_raises() -> None:
    with pytest.raises(ValueError, match="a batch of 3 is too small for 4 processes: start at most 3"):
        Processes(0, 4).share_of(3)


@pytest.mark.parametrize(("rank", "count"), [(-1, 2), (2, 2), (0, 0)])
def test_a_rank_out_of_range_raises(rank: int, count: int) -> None:
    with pytest.raises(
        ValueError, match=f"rank must be in \\[0, {count}\\) for {count} processes, got {rank}"
    ):
        Processes(rank, count)


def test_a_single_process_gathers_the_same_tensor() -> None:
    rows = torch.randn(4, 2, requires_grad=True)
    assert BatchShare.whole(4).gather(rows) is rows


def test_another_number_of_rows_than_the_share_raises() -> None:
    with pytest.raises(ValueError, match="this process's share has 4 rows, got 3"):
        BatchShare.whole(4).gather(torch.zeros(3, 2))


def test_without_a_launcher_there_is_a_single_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with join_processes(torch.device("cpu")) as processes:
        assert processes == Processes()
        processes.barrier()


@pytest.mark.parametrize("count", [2, 4])
def test_gathered_rows_and_their_gradients_equal_those_of_one_process(count: int, tmp_path: Path) -> None:
    rows, gradient = alone(gathered_and_gradient, torch.float64)
    results = run_in_processes(count, gathered_and_gradient, torch.float64, folder=tmp_path)
    assert all(torch.equal(gathered, rows) for gathered, _ in results)
    # Sums of seven float64 numbers in another order.
    torch.testing.assert_close(torch.cat([own for _, own in results]), gradient, rtol=1e-12, atol=1e-14)


def test_sums_and_broadcasts_are_equal_in_all_processes(tmp_path: Path) -> None:
    for result in run_in_processes(3, sums_and_broadcasts, folder=tmp_path):
        assert [tensor.unique().item() for tensor in result["summed"]] == [6, 6, 12, 6]
        assert [tensor.unique().item() for tensor in result["broadcast"]] == [1, 1, 2, 1]
        assert [tensor.dtype for tensor in result["summed"]] == [
            torch.float32,
            torch.float64,
            torch.float32,
            torch.int64,
        ]
        assert result["summed"][0].shape == (2, 3)


def test_labels_and_conditions_are_equal_in_all_processes(tmp_path: Path) -> None:
    for result in run_in_processes(3, labels_and_conditions, folder=tmp_path):
        assert result == {
            "labels": list(range(TOTAL)),
            "any, only the last": True,
            "any, none": False,
            "identity": True,
        }


def test_tensors_in_several_buckets_are_summed(tmp_path: Path) -> None:
    assert run_in_processes(2, fill_buckets, folder=tmp_path) == [[2.0] * 7] * 2
