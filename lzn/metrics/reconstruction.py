"""Reconstruction error: how far an image moves when the flow maps it to noise and back (appendix C.3)."""

from torch import Tensor

from lzn.rectified_flow.ode import Sampler
from lzn.rectified_flow.path import T_MIN, Velocity


def reconstruction_error(
    images: Tensor, velocity: Velocity, *, sampler: Sampler, t_min: float = T_MIN
) -> Tensor:
    """|x - x'| for each image, (b,) float64, where x' is x after the ODE from t = 1 to t_min and back to 1.

    The norm is L2 over channels and pixels in the units of the images, [-1, 1]. The paper reports the mean
    over images and over 20 draws of z; a draw is one call with a velocity that holds it.

    Args:
        images: x, (b, channels, height, width), in [-1, 1].
        velocity: dx/dt of x (b, ...) and t (b,), with latents and classes bound in it.
        sampler: solves both directions.
        t_min: the noise end of the ODE.

    Raises:
        ValueError: `t_min` is not in [0, 1), or see the sampler.
        OdeError: the ODE could not be solved.
    """
    if not 0 <= t_min < 1:
        raise ValueError(f"t_min must be in [0, 1), got {t_min}")
    noise = sampler.integrate(velocity, images, t_start=1.0, t_end=t_min).x
    reconstructions = sampler.integrate(velocity, noise, t_start=t_min, t_end=1.0).x
    difference = (reconstructions - images).double().flatten(1)
    return difference.square().sum(dim=1).sqrt()
