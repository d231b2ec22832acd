"""The two atomic operations of the paper: latent computation and latent alignment (section 2.2).

Letters used in this package: ``n`` anchors, ``m`` states, ``q`` latent dimension, ``r`` solver steps,
``t`` time from the Gaussian prior (0) to the anchors (1), ``tau = 1 - t`` the noise level.
"""

from lzn.flow.anchor_bank import AnchorBank
from lzn.flow.assignment import NonFiniteAnchorsError
from lzn.flow.latent_alignment import (
    FlowResult,
    alignment_loss,
    alignment_objective,
    flow_to_anchors,
    nearest_anchor,
)
from lzn.flow.latent_computation import compute_latents
from lzn.flow.solvers import Adams, DPMSolver, Euler, Solver

__all__ = [
    "Adams",
    "AnchorBank",
    "DPMSolver",
    "Euler",
    "FlowResult",
    "NonFiniteAnchorsError",
    "Solver",
    "alignment_loss",
    "alignment_objective",
    "compute_latents",
    "flow_to_anchors",
    "nearest_anchor",
]
