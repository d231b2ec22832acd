"""Training with 1, 2, 3 and 4 processes: gradients, curves, skipped steps and checkpoints are the same."""

from itertools import groupby
from pathlib import Path

import pytest
import torch
from lzn_testing.models.parallel_training import (
    NAN,
    STUDIES,
    ProcessResult,
    train_studies,
    train_studies_with_nan_anchors,
    train_toy,
    train_toy_with_nan_gradient,
)
from lzn_testing.processes.distributed_jobs import TIME_LIMIT, train_with_slow_writing
from lzn_testing.processes.real_processes import alone, run_in_processes
from torch import Tensor

Studies = dict[str, dict[str, ProcessResult]]


@pytest.fixture(scope="module")
def one_process() -> Studies:
    return alone(train_studies)


@pytest.fixture(scope="module", params=[2, 4])
def several_processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Studies]:
    return run_in_processes(request.param, train_studies, folder=tmp_path_factory.mktemp("results"))


def norms_by_part(tensors: dict[str, Tensor]) -> dict[str, float]:
    """Return the norm of all tensors of each part of the model, by its name."""
    parts = groupby(sorted(tensors), key=lambda name: name.partition(".")[0])
    return {part: sum(float(tensors[n].double().norm() ** 2) for n in names) ** 0.5 for part, names in parts}


def differences(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    assert actual.keys() == expected.keys()
    return {name: tensor.double() - expected[name].double() for name, tensor in actual.items()}


def assert_same_curve(actual: ProcessResult, expected: ProcessResult, *, relative: float) -> None:
    assert [step for step, _ in actual.curve] == [step for step, _ in expected.curve]
    for (_, values), (_, expected_values) in zip(actual.curve, expected.curve, strict=True):
        assert values == pytest.approx(expected_values, rel=relative)


def assert_same_training(results: list[ProcessResult], expected: ProcessResult, *, relative: float) -> None:
    for result in results:
        assert result.num_skipped_steps == expected.num_skipped_steps
        assert_same_curve(result, expected, relative=relative)
        norms = norms_by_part(expected.weights)
        for part, error in norms_by_part(differences(result.weights, expected.weights)).items():
            assert error <= relative * norms[part], part
        # The replicas are the same bit for bit.
        assert all(torch.equal(results[0].weights[name], value) for name, value in result.weights.items())


@pytest.mark.parametrize("name", STUDIES)
def test_gradients_and_losses_do_not_depend_on_the_number_of_processes(
    name: str, one_process: Studies, several_processes: list[Studies]
) -> None:
    expected = one_process[name]["step"]
    norms = norms_by_part(expected.gradients)
    for result in (studies[name]["step"] for studies in several_processes):
        assert_same_curve(result, expected, relative=1e-5)
        for tensor, error in differences(result.gradients, expected.gradients).items():
            # Relative to the tensor's norm. Some gradients are zero up to rounding, such as those that shift all
            # anchors together; their tolerance is a millionth of the norm of the part.
            norm = float(expected.gradients[tensor].double().norm())
            assert float(error.norm()) <= max(1e-5 * norm, 1e-6 * norms[tensor.partition(".")[0]]), tensor


@pytest.mark.parametrize("name", STUDIES)
def test_training_curves_do_not_depend_on_the_number_of_processes(
    name: str, one_process: Studies, several_processes: list[Studies]
) -> None:
    results = [studies[name]["training"] for studies in several_processes]
    # Adam divides small gradients by their size, which amplifies their rounding over the five steps.
    assert_same_training(results, one_process[name]["training"], relative=1e-3)


def test_all_processes_skip_a_step_with_a_non_finite_loss_in_one(tmp_path: Path) -> None:
    loss_factors = {4: NAN, 5: float("inf")}
    expected = alone(train_toy, 8, None, None, loss_factors)
    results = run_in_processes(3, train_toy, 8, None, None, loss_factors, folder=tmp_path)
    assert expected.num_skipped_steps == 2
    # Float32 rounding over 13 steps of Adam.
    assert_same_training(results, expected, relative=1e-4)


def test_all_processes_skip_a_step_with_a_non_finite_gradient_in_one(tmp_path: Path) -> None:
    expected = alone(train_toy_with_nan_gradient)
    results = run_in_processes(2, train_toy_with_nan_gradient, folder=tmp_path)
    assert expected.num_skipped_steps == 1
    # Float32 rounding over 13 steps of Adam.
    assert_same_training(results, expected, relative=1e-4)


def test_all_processes_skip_a_step_with_non_finite_anchors_in_one(tmp_path: Path) -> None:
    assert run_in_processes(2, train_studies_with_nan_anchors, folder=tmp_path) == [[1, 1]] * 2


@pytest.fixture(scope="module")
def toy_alone() -> ProcessResult:
    return alone(train_toy, 8, None, None, {})


@pytest.fixture
def stopped_by_two(tmp_path: Path) -> Path:
    """Checkpoints of two processes; only ``should_stop`` of the second returned True."""
    messages = run_in_processes(2, train_toy, 8, tmp_path / "checkpoints", 8, {}, folder=tmp_path)
    assert messages == ["stopped after step 8 of 13"] * 2
    return tmp_path / "checkpoints"


def test_a_checkpoint_of_two_processes_resumes_in_one(stopped_by_two: Path, toy_alone: ProcessResult) -> None:
    resumed = alone(train_toy, 8, stopped_by_two, None, {})
    # Float32 rounding over 13 steps of Adam.
    assert_same_training([resumed], toy_alone, relative=1e-4)
    assert resumed.reports == ["curve 2", "curve 2", "curve 3", "curve 4"]


def test_a_checkpoint_of_two_processes_resumes_in_three_and_only_the_first_reports(
    stopped_by_two: Path, toy_alone: ProcessResult, tmp_path: Path
) -> None:
    resumed = run_in_processes(3, train_toy, 8, stopped_by_two, None, {}, folder=tmp_path)
    # Float32 rounding over 13 steps of Adam.
    assert_same_training(resumed, toy_alone, relative=1e-4)
    assert [result.reports for result in resumed] == [["curve 2", "curve 2", "curve 3", "curve 4"], [], []]


def test_only_the_first_process_gets_snapshots_and_the_curve(tmp_path: Path) -> None:
    results = run_in_processes(2, train_toy, 8, None, None, {}, folder=tmp_path)
    lengths = [report for report in results[0].reports if report != "snapshot 3"]
    assert "snapshot 3" in results[0].reports
    assert lengths == [f"curve {count}" for count in (1, 1, 2, 2, 3, 4)]
    assert results[1].reports == []


@pytest.mark.slow
def test_processes_wait_for_what_the_first_one_writes_longer_than_the_limit_of_collective_operations(
    tmp_path: Path,
) -> None:
    results = run_in_processes(
        2, train_with_slow_writing, tmp_path / "checkpoints", folder=tmp_path, timeout=TIME_LIMIT
    )
    assert results == [True, True]
