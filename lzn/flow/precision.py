"""In which precision the flow computes: float64 close to the anchors, float32 at least elsewhere, never half.

Close to the anchors (small ``tau``) one step multiplies ``s - D``, of size ``g``, by up to ``1/g``. In float32 that
gives errors of 1e-3 in the latents and 2e-2 in their gradients. Each operation disables autocast, because the logits
overflow in half precision, and TF32, which gives wrong gradients also at large ``tau`` (`lzn.base.full_precision`).
"""

import torch
from torch import Tensor

EARLY_NOISE_LEVEL = 0.3
"""States are float64 at noise levels ``tau`` below this one."""


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """Return the widest dtype among ``tensors``, float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def dtype_at(tau: float, working_dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of states at noise level ``tau``."""
    return torch.float64 if tau < EARLY_NOISE_LEVEL else working_dtype


def flush_subnormals_(probability: Tensor) -> Tensor:
    """Set to zero, in place, probabilities so small that they or products with them may be subnormal.

    A matrix product with subnormal numbers takes ten times as long. In float32, which is used for ``tau >= 0.3`` only,
    the numbers set to zero are below 1e-28, far below rounding.
    """
    return torch.threshold_(probability, torch.finfo(probability.dtype).tiny ** 0.75, 0.0)
