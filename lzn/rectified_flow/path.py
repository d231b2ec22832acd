"""Straight paths from noise (t = 0) to images (t = 1), and the loss that learns their velocity.

Source: Liu et al. 2023, "Flow Straight and Fast", as used by the paper in section 3 and appendix C.

    x_t = (1 - t) eps + t x        dx_t / dt = x - eps
"""

from collections.abc import Callable

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""dx/dt as a function of the state x (b, ...) and the times t (b,); the result has the shape of x."""

T_MIN = 1e-3
"""Smallest time at which the decoder is trained and sampled (appendix C)."""


def interpolate(images: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Compute x_t = (1 - t) eps + t x, with one time per sample.

    Args:
        images: x, (b, ...), in [-1, 1].
        noise: eps, the shape of `images`.
        t: times, (b,), in [0, 1].

    Raises:
        ValueError: shapes do not match.
    """
    _require_same_shape("noise", noise, images)
    if t.shape != images.shape[:1]:
        raise ValueError(
            f"t must hold one time per image, shape {tuple(images.shape[:1])}, got {tuple(t.shape)}"
        )
    t = t.view(-1, *[1] * (images.ndim - 1))  # (b,) => (b, 1, 1, 1)
    return (1 - t) * noise + t * images


def target_velocity(images: Tensor, noise: Tensor) -> Tensor:
    """Return the velocity x - eps of the straight path from `noise` to `images`, of the same shape.

    Raises:
        ValueError: shapes differ.
    """
    _require_same_shape("noise", noise, images)
    return images - noise


def training_times(uniform: Tensor, *, t_min: float = T_MIN) -> Tensor:
    """Return training times of Uniform(t_min, 1), computed from uniform numbers (b,) in [0, 1).

    Raises:
        ValueError: `t_min` lies outside [0, 1).
    """
    if not 0 <= t_min < 1:
        raise ValueError(f"t_min must be in [0, 1), got {t_min}")
    return t_min + (1 - t_min) * uniform


def rectified_flow_loss(velocity: Tensor, images: Tensor, noise: Tensor) -> Tensor:
    """Compute the mean over images and pixels of (v - (x - eps))^2, a scalar.

    Args:
        velocity: the decoder's prediction v at (x_t, t), the shape of `images`.
        images: x, (b, ...), in [-1, 1].
        noise: eps, the shape of `images`.

    Raises:
        ValueError: shapes differ. (Broadcasting would give a wrong target.)
    """
    _require_same_shape("velocity", velocity, images)
    return (velocity - target_velocity(images, noise)).square().mean()


def _require_same_shape(name: str, tensor: Tensor, images: Tensor) -> None:
    if tensor.shape != images.shape:
        raise ValueError(
            f"{name} must have the images' shape {tuple(images.shape)}, got {tuple(tensor.shape)}"
        )
