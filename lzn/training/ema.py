"""Exponential moving average of a module's parameters. All evaluations of the paper use it."""

from collections.abc import Mapping
from itertools import chain

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Averages of parameters: ``shadow <- d shadow + (1 - d) parameter``.

    The decay has a warm-up: at update ``k`` (from 1), ``d = min(decay, (1 + k) / (10 + k))``. The averages are float64:
    with the paper's decay of 0.999999, float32 would round small moves to nothing. All tensors, with the number of
    updates, are on the device of the module, so that updates do not synchronise with it.

    Raises:
        ValueError: ``decay`` is not in [0, 1).
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.shadow = {name: p.detach().to(torch.float64, copy=True) for name, p in module.named_parameters()}
        device = next(chain(self.shadow.values(), [torch.empty(0)])).device
        self.num_updates = torch.zeros((), dtype=torch.float64, device=device)

    @torch.no_grad()
    def update(self, module: nn.Module, *, accepted: Tensor | None = None) -> None:
        """Update the averages of all trainable parameters of ``module``; those of frozen ones do not change.

        Args:
            module: the module whose parameters are averaged.
            accepted: bool scalar on the module's device; if it is False, nothing changes and no update is counted.
        """
        moving = [(self.shadow[name], p.detach()) for name, p in module.named_parameters() if p.requires_grad]
        if not moving:
            return
        factor = self._next_weight(accepted)
        for shadow, parameter in moving:
            move = parameter - shadow  # float64
            if accepted is not None:  # the factor is then 0, but 0 * NaN is NaN
                move.masked_fill_(~accepted, 0.0)
            shadow.addcmul_(move, factor)

    def _next_weight(self, accepted: Tensor | None) -> Tensor:
        """Count an update and return its ``1 - d``, float64; 0 if it is not accepted."""
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
        """Return a copy of the state dict of ``module``, with buffers, and averages, in its dtypes, as parameters."""
        averages = {parameter: self.shadow[name] for name, parameter in module.named_parameters()}
        return {  # a parameter can have several names
            name: averages.get(tensor, tensor).detach().to(tensor.dtype, copy=True)
            for name, tensor in module.state_dict(keep_vars=True).items()
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages by parameter name, and the number of updates."""
        return {**self.shadow, "num_updates": self.num_updates}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load the result of `state_dict`."""
        for name, shadow in self.shadow.items():
            shadow.copy_(state[name])
        self.num_updates.copy_(state["num_updates"])
