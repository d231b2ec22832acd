"""Shares of a batch, sums and gatherings over real processes."""

from pathlib import Path

import pytest
import torch
from lzn_testing.processes.process_jobs import (
    TOTAL,
    fill_buckets,
    gathered_and_gradient,
    labels_and_answers,
    sums_and_copies,
)
from lzn_testing.processes.real_processes import alone, run_in_processes

from lzn.base.parallel import BatchShare, Processes, join_processes


@pytest.mark.parametrize(("batch_size", "count"), [(8, 2), (7, 2), (7, 4), (5, 5), (2000, 16), (11, 3)])
def test_shares_cover_the_batch_once_in_order_and_differ_by_one_row_at_most(
    batch_size: int, count: int
) -> None:
    shares = [Processes(rank, count).share_of(batch_size) for rank in range(count)]
    assert [row for share in shares for row in range(batch_size)[share.rows]] == list(range(batch_size))
    sizes = {share.count for share in shares}
    assert max(sizes) - min(sizes) <= 1
    assert sum(share.weight for share in shares) == pytest.approx(1.0)


def test_a_batch_of_fewer_samples_than_processes_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch of 3 cannot be shared by 4 processes: start at most 3"):
        Processes(0, 4).share_of(3)


@pytest.mark.parametrize(("rank", "count"), [(-1, 2), (2, 2), (0, 0)])
def test_a_rank_out_of_range_is_refused(rank: int, count: int) -> None:
    with pytest.raises(ValueError, match="rank must lie in"):
        Processes(rank, count)


def test_a_process_that_is_alone_gathers_the_very_same_tensor() -> None:
    rows = torch.randn(4, 2, requires_grad=True)
    assert BatchShare.whole(4).gather(rows) is rows


def test_rows_that_are_not_the_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="this process's share has 4 rows, got 3"):
        BatchShare.whole(4).gather(torch.zeros(3, 2))


def test_without_a_launcher_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with join_processes(torch.device("cpu")) as processes:
        assert processes == Processes()
        processes.wait_for_all()


@pytest.mark.parametrize("count", [2, 4])
def test_gathered_rows_and_their_gradients_are_those_of_one_process(count: int, tmp_path: Path) -> None:
    rows, gradient = alone(gathered_and_gradient, torch.float64)
    results = run_in_processes(count, gathered_and_gradient, torch.float64, folder=tmp_path)
    assert all(torch.equal(gathered, rows) for gathered, _ in results)
    # Sums of seven numbers of float64 in another order.
    torch.testing.assert_close(torch.cat([own for _, own in results]), gradient, rtol=1e-12, atol=1e-14)


def test_sums_copies_labels_and_answers_are_the_same_in_all_processes(tmp_path: Path) -> None:
    for result in run_in_processes(3, sums_and_copies, folder=tmp_path):
        assert [tensor.unique().item() for tensor in result["summed"]] == [6, 6, 12, 6]
        assert [tensor.unique().item() for tensor in result["copied"]] == [1, 1, 2, 1]
        assert [tensor.dtype for tensor in result["summed"]] == [
            torch.float32,
            torch.float64,
            torch.float32,
            torch.int64,
        ]
        assert result["summed"][0].shape == (2, 3)
    for result in run_in_processes(3, labels_and_answers, folder=tmp_path):
        assert result == {
            "labels": list(range(TOTAL)),
            "last says yes": True,
            "none says yes": False,
            "identity": True,
        }


def test_what_exceeds_a_bucket_is_summed_as_well(tmp_path: Path) -> None:
    assert run_in_processes(2, fill_buckets, folder=tmp_path) == [[2.0] * 7] * 2
