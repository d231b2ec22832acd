"""What all tests share."""

import pytest
import torch

LONGEST = (
    "tests/services/test_faults_of_processes.py",
    "tests/stages/test_pipeline.py",
    "tests/services/test_faults_of_servers.py",
    "tests/stages/test_folder_of_images.py",
    "tests/services/test_slurm.py",
    "tests/services/test_deployments.py",
    "tests/services/test_stack.py",
    "tests/stages/test_train_processes.py",
    "tests/stages/test_train_seeds.py",
    "tests/slow/test_full_size_steps.py",
    "tests/services/test_gpu_limit.py",
    "tests/slow/test_compiled_training.py",
    "tests/stages/serving/test_served_model.py",
)
"""Files that take minutes; begun first, so that none of them is what everybody waits for at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    place = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests' tensors are small: threads cost more than they bring, and many tests may run beside each other."""
    torch.set_num_threads(1)
