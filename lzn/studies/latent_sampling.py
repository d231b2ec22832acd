"""How the training steps draw latents of a batch, among the anchors of all processes."""

from dataclasses import dataclass, replace

from torch import Tensor

from lzn.base.parallel import BatchShare
from lzn.base.randomness import BatchRandom
from lzn.flow import Solver, compute_latents, gather_anchors


@dataclass(frozen=True, kw_only=True)
class LatentSampler:
    """Draws latents from the zones of a batch, with a solver and the concentration ``alpha`` (Eq. 4)."""

    solver: Solver
    alpha: float = 1.0

    def __call__(self, anchors: Tensor, random: BatchRandom) -> Tensor:
        """Draw latents (b, q) of this process's samples, with anchors (b, q), among the anchors of the global batch."""
        noise = random.normal(anchors.shape[1])
        rows = None if random.share.processes.count == 1 else random.share.rows
        anchors = anchors_of_all(anchors, random.share)
        return compute_latents(anchors, noise, rows=rows, alpha=self.alpha, solver=self.solver)

    def with_alpha(self, alpha: float) -> "LatentSampler":
        """Return the same sampler with another concentration."""
        return replace(self, alpha=alpha)


def anchors_of_all(anchors: Tensor, share: BatchShare) -> Tensor:
    """Return the anchors of the global batch, (n, q), of which ``anchors`` (b, q) are this process's rows."""
    if share.processes.count == 1:
        return anchors
    return gather_anchors(anchors, sizes=share.sizes).anchors
