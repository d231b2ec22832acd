"""What all tests share: which ones begin first, which are left out, one thread."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from lzn_testing.projects.made_once import open_shared_folder, remove_shared_folder

LONGEST = (
    "tests/stages/test_experiments.py",
    "tests/stages/test_pipeline.py",
    "tests/services/test_faults_of_servers.py",
    "tests/services/test_faults_of_processes.py",
    "tests/services/test_faults_of_machines.py",
    "tests/services/test_faults_of_flows.py",
    "tests/stages/test_folder_of_images.py",
    "tests/services/test_slurm_training.py",
    "tests/services/test_slurm_pilot.py",
    "tests/services/test_deployments.py",
    "tests/services/test_stack.py",
    "tests/stages/test_train_processes.py",
    "tests/stages/test_train_seeds.py",
    "tests/slow/test_full_size_steps.py",
    "tests/services/test_worker_is_drained.py",
    "tests/services/test_container_commands.py",
    "tests/services/test_gpu_limit.py",
    "tests/slow/test_compiled_training.py",
    "tests/stages/serving/test_served_model.py",
)
"""Files that take minutes. They begin first, so that no process ends long after the others."""
LEFT_OUT = {
    "services": "make test-services (PostgreSQL, Slurm)",
    "browser": "make test-browser (Chromium)",
    "compiler": "make test-compiler (g++)",
    "slow": "make test-slow",
    "gpu": "make test-gpu (CUDA)",
}
"""Markers of tests that `make test` leaves out, and the command that runs them."""
_left_out: Counter[str] = Counter()


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the processes of this test run share."""
    if not hasattr(config, "workerinput"):
        open_shared_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if not hasattr(config, "workerinput"):
        remove_shared_folder()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    place = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count the tests that the command line leaves out, by their marker."""
    for item in items:
        marker = next((marker for marker in LEFT_OUT if item.get_closest_marker(marker)), None)
        if marker is not None:
            _left_out[marker] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts from a process of pytest-xdist to the one that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the counts of a process of pytest-xdist; all processes collect the same tests."""
    _left_out.update(Counter(getattr(node, "workeroutput", {}).get("left_out", {})) - _left_out)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many tests were left out and how to run them."""
    if _left_out:
        counted = [
            f"{_left_out[marker]} {marker}: {LEFT_OUT[marker]}" for marker in LEFT_OUT if _left_out[marker]
        ]
        terminalreporter.write_line(f"left out: {'; '.join(counted)}")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Compute with one thread: the tensors of tests are small, and tests run beside each other."""
    torch.set_num_threads(1)
