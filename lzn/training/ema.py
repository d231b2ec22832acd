"""Exponential moving average of a module's parameters, with which all of the paper's evaluations are made."""

from collections.abc import Mapping
from itertools import chain

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Shadow copies of parameters: ``shadow <- d shadow + (1 - d) parameter``.

    The decay warms up: at update ``k`` (the first is 1), ``d = min(decay, (1 + k) / (10 + k))``. Everything, the number
    of updates included, is on the device of the module, which computes on while the host goes ahead.

    Raises:
        ValueError: ``decay`` is outside [0, 1).
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.shadow = {name: p.detach().clone() for name, p in module.named_parameters()}
        device = next(chain(self.shadow.values(), [torch.empty(0)])).device
        self.num_updates = torch.zeros((), dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, module: nn.Module, *, accepted: Tensor | None = None) -> None:
        """Move the averages of all trainable parameters of ``module``; those of frozen ones stay as they are.

        Args:
            module: the module whose parameters are averaged.
            accepted: bool, a scalar on the module's device: where it is false nothing moves and no update is counted.
        """
        moving = [(self.shadow[name], p.detach()) for name, p in module.named_parameters() if p.requires_grad]
        if not moving:
            return
        factor = self._next_weight(accepted).to(moving[0][0].dtype)
        shadows = [shadow for shadow, _ in moving]
        moves = torch._foreach_sub([parameter for _, parameter in moving], shadows)
        torch._foreach_mul_(moves, factor)
        torch._foreach_add_(shadows, moves)

    def _next_weight(self, accepted: Tensor | None) -> Tensor:
        """Count an update; its ``1 - d``, float64, or zero where it is not accepted."""
        counted = torch.ones_like(self.num_updates) if accepted is None else accepted.double()
        self.num_updates += counted
        decay = ((1 + self.num_updates) / (10 + self.num_updates)).clamp(max=self.decay)
        return (1 - decay) * counted

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

    def state_dict(self) -> dict[str, Tensor]:
        """Averages by parameter name, and the number of updates."""
        return {**self.shadow, "num_updates": self.num_updates}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        for name, shadow in self.shadow.items():
            shadow.copy_(state[name])
        self.num_updates.copy_(state["num_updates"])
