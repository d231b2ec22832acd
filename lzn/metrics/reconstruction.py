"""Reconstruction error: the change of an image that the flow maps to noise and back (appendix C.3)."""

from torch import Tensor

from lzn.rectified_flow.ode import Sampler
from lzn.rectified_flow.path import T_MIN, Velocity


def reconstruction_error(
    images: Tensor, velocity: Velocity, *, sampler: Sampler, t_min: float = T_MIN
) -> Tensor:
    """Compute |x - x'| for each image, (b,) float64, where x' is x after the ODE from t = 1 to t_min and back to 1.

    The norm is L2 over channels and pixels, in the units of the images, [-1, 1]. The paper reports the mean
    over images and over 20 samples of z; each sample of z is one call with another velocity.

    Args:
        images: x, (b, channels, height, width), in [-1, 1].
        velocity: dx/dt as a function of x (b, ...) and t (b,); latents and classes are bound in it.
        sampler: solver of both directions.
        t_min: time of the noise.

    Raises:
        ValueError: `t_min` is not in [0, 1), or an argument is wrong for the sampler.
        OdeError: the sampler cannot solve the ODE.
    """
    if not 0 <= t_min < 1:
        raise ValueError(f"t_min must be in [0, 1), got {t_min}")
    noise = sampler.integrate(velocity, images, t_start=1.0, t_end=t_min).x
    reconstructions = sampler.integrate(velocity, noise, t_start=t_min, t_end=1.0).x
    difference = (reconstructions - images).double().flatten(1)
    return difference.square().sum(dim=1).sqrt()
