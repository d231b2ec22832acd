"""Exponential moving average of a module's parameters, with which all of the paper's evaluations are made."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Shadow copies of parameters: ``shadow <- d shadow + (1 - d) parameter``.

    The decay warms up: at update ``k`` (the first is 1), ``d = min(decay, (1 + k) / (10 + k))``.

    Raises:
        ValueError: ``decay`` is outside [0, 1).
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.num_updates = 0
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the averages of all trainable parameters of ``module``; those of frozen ones stay as they are."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        moving = [(name, p.detach()) for name, p in module.named_parameters() if p.requires_grad]
        torch._foreach_lerp_([self.shadow[name] for name, _ in moving], [p for _, p in moving], 1.0 - decay)

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Overwrite the parameters of ``module`` with their averages."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.shadow[name])

    def averaged_state(self, module: nn.Module) -> dict[str, Tensor]:
        """The state dict of ``module``, buffers included, with averages in the place of parameters; all copies."""
        return {
            name: self.shadow.get(name, tensor).detach().clone()
            for name, tensor in module.state_dict().items()
        }

    def state_dict(self) -> dict[str, Tensor | int]:
        """Averages by parameter name, and the number of updates."""
        return {**self.shadow, "num_updates": self.num_updates}

    def load_state_dict(self, state: Mapping[str, Tensor | int]) -> None:
        """Take over what `state_dict` returned."""
        for name, shadow in self.shadow.items():
            saved = state[name]
            assert isinstance(saved, Tensor)
            shadow.copy_(saved)
        num_updates = state["num_updates"]
        assert isinstance(num_updates, int)
        self.num_updates = num_updates
