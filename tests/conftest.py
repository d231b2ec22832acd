"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests' tensors are small: threads cost more than they bring, and many tests may run beside each other."""
    torch.set_num_threads(1)
