"""Latent alignment as the training steps of case studies 2 and 3 use it: the loss, and the share that is aligned."""

from dataclasses import dataclass

from torch import Tensor

from lzn.flow import Solver, alignment_objective, flow_to_anchors, nearest_anchor


@dataclass(frozen=True)
class Alignment:
    """Alignment of one batch.

    Attributes:
        loss: minus the objective of Eq. 2 or 5, a scalar with gradient.
        accuracy: share of latents whose end point is nearest to their target anchor, a scalar.
    """

    loss: Tensor
    accuracy: Tensor


def align(
    latents: Tensor,
    anchors: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    solver: Solver,
    num_skipped_steps: int,
    log: bool,
) -> Alignment:
    """Flow latents (m, q) towards anchors (n, q), with arguments as in `lzn.flow.alignment_loss`."""
    result = flow_to_anchors(latents, anchors, weights=weights, targets=targets, solver=solver)
    assert result.target_log_probability is not None
    loss = alignment_objective(result.target_log_probability, num_skipped_steps=num_skipped_steps, log=log)
    aligned = nearest_anchor(result.points.detach(), anchors.detach()) == targets
    return Alignment(loss, aligned.float().mean())
