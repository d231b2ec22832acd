"""The two atomic operations of the paper (section 2.2): latent computation and latent alignment.

An encoder maps each sample to an *anchor*. The flow between the Gaussian prior and the anchors divides the latent
space into *zones*, one per anchor. The operations use the flow in its two directions:

- `latent_computation` (Eq. 1, 4): from the anchors to the prior. `compute_latents` draws a latent from each zone.
- `latent_alignment` (Eq. 2, 5): from latents to the anchors. `flow_to_anchors` gives end points and the probability of
  target anchors; `alignment_loss` and `alignment_objective` are the losses.

Two files call these operations. `label_anchors`: one learned anchor per class (`LabelAnchors`), and labels decoded from
latents (`decode_labels`). `gathered_anchors`: `gather_anchors` gives each of several processes the anchors of all.

The operations call the files below, listed from the formula upwards; each file imports only from files above it:

- `precision`, `input_checks`: dtypes of the computation; errors for wrong inputs.
- `sample_rows`: which of all anchors are the samples of a call.
- `row_blocks`: how many rows of logits are in memory at once.
- `assignment`: the assignment probability ``p_j(s, t)`` and the posterior mean ``D(s, t)``, as attention.
- `multistep`, `solvers`: a solver's step as a linear combination; `Euler`, `DPMSolver`, `Adams` and their grids.
- `straight_start`: the first steps of latent computation in closed form.
- `trajectory`: all steps as one differentiable operation with O(m q r) memory.
- `low_rank`: the same operation, faster for fewer anchors than dimensions (labels).
- `anchor_bank`: zones among the anchors of a whole data set, for inference (not in the paper).

Letters: ``n`` anchors, ``m`` states, ``q`` latent dimension, ``r`` solver steps, ``t`` time from the prior (0) to the
anchors (1), ``tau = 1 - t`` noise level, ``g`` its value where latent computation starts, ``s`` state, ``a`` anchor.
"""

from lzn.flow.anchor_bank import AnchorBank
from lzn.flow.gathered_anchors import GatheredAnchors, gather_anchors
from lzn.flow.input_checks import NonFiniteAnchorsError
from lzn.flow.label_anchors import (
    LABEL_SOLVER,
    LabelAnchors,
    class_frequencies,
    decode_labels,
    draw_label_latents,
)
from lzn.flow.latent_alignment import (
    Alignment,
    FlowResult,
    alignment_loss,
    alignment_objective,
    flow_to_anchors,
    nearest_anchor,
)
from lzn.flow.latent_computation import compute_latents
from lzn.flow.solvers import Adams, DPMSolver, Euler, Solver

__all__ = [
    "LABEL_SOLVER",
    "Adams",
    "Alignment",
    "AnchorBank",
    "DPMSolver",
    "Euler",
    "FlowResult",
    "GatheredAnchors",
    "LabelAnchors",
    "NonFiniteAnchorsError",
    "Solver",
    "alignment_loss",
    "alignment_objective",
    "class_frequencies",
    "compute_latents",
    "decode_labels",
    "draw_label_latents",
    "flow_to_anchors",
    "gather_anchors",
    "nearest_anchor",
]
