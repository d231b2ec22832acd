"""A training starts with the model of the first process, whatever the other processes built."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.parallel import Processes
from lzn.networks.embeddings import FourierTime
from lzn.training import TrainingSchedule
from lzn.training.state import TrainingState

SCHEDULE = TrainingSchedule(
    num_steps=1, batch_size=4, learning_rates={"head": 1e-3}, warmup_steps=1, ema_decay=0.9
)


def model_of(rank: int) -> nn.Module:
    """Build a model whose parameters and random Fourier features depend on the rank."""
    torch.manual_seed(rank)
    return nn.ModuleDict({"head": nn.Linear(2, 2), "time": FourierTime(3)})


@dataclass(frozen=True)
class SecondProcess(Processes):
    """The second of two processes in this process: what the first one would send is computed here."""

    rank: int = 1
    count: int = 2

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Copy the tensors at the same places of the first process's model; real processes: test_parallel.py."""
        first = model_of(0)
        sent = [*first.parameters(), *first.buffers()]
        with torch.no_grad():
            for tensor, other in zip(tensors, sent, strict=False):
                tensor.copy_(other)


def test_parameters_and_random_fourier_features_are_those_of_the_first_process() -> None:
    expected, model = model_of(0).state_dict(), model_of(1)
    assert not any(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    state = TrainingState.new(model, SCHEDULE, SecondProcess(), seed=0, device="cpu")
    assert model.state_dict().keys() == {"head.weight", "head.bias", "time.frequencies"}
    averages = state.ema.averaged_state(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
        assert torch.equal(averages[name], expected[name]), name
