"""Gradients of several processes are summed while the backward pass runs."""

from pathlib import Path

import torch
from lzn_testing.processes.distributed_jobs import sums_during_backward
from lzn_testing.processes.real_processes import alone, run_in_processes


def test_gradients_are_summed_during_the_backward_pass_from_the_second_step_on(tmp_path: Path) -> None:
    results = run_in_processes(2, sums_during_backward, folder=tmp_path)
    for num_sent, gradients in results:
        # The first step finds the order. The last two of three layers have four parameters, and three after one is
        # frozen, which changes the order.
        assert num_sent == [0, 4, 4, 0, 3]
        assert [len(of_step) for of_step in gradients] == [6, 6, 6, 5, 5]
    for of_step, other in zip(results[0][1], results[1][1], strict=True):
        assert all(torch.equal(gradient, same) for gradient, same in zip(of_step, other, strict=True))
    # The inputs are rank + step + 1: those of the second process are those of the first in the next step.
    _, own = alone(sums_during_backward)
    for summed, first, second in zip(results[0][1][0], own[0], own[1], strict=True):
        torch.testing.assert_close(summed, first + second)
