"""Checks of the shapes of a network's inputs."""

from torch import Tensor


def check_images(images: Tensor, *, channels: int, size: int | None = None) -> None:
    """Raise ValueError unless ``images`` is (b, channels, size, size), or (b, channels, any, any) without ``size``."""
    sides = ("height", "width") if size is None else (str(size), str(size))
    wanted = f"(b, {channels}, {', '.join(sides)})"
    fits = images.ndim == 4 and images.shape[1] == channels
    if not fits or (size is not None and images.shape[2:] != (size, size)):
        raise ValueError(f"images have shape {tuple(images.shape)}: this network takes {wanted}")


def check_times(t: Tensor, *, batch: int) -> None:
    """Raise ValueError unless ``t`` is (b,)."""
    if t.shape != (batch,):
        raise ValueError(
            f"t has shape {tuple(t.shape)}: give one time for each of the {batch} images, ({batch},)"
        )


def check_condition(name: str, condition: Tensor | None, *, setting: str, width: int, batch: int) -> None:
    """Raise ValueError unless ``condition`` is (b, width), or None if ``width``, the network's ``setting``, is 0."""
    if width == 0 and condition is not None:
        raise ValueError(
            f"{name} was given to a network with {setting}=0: leave it out, or build with {setting}"
        )
    if width > 0 and condition is None:
        raise ValueError(
            f"{name} is missing: a network with {setting}={width} takes one of shape ({batch}, {width})"
        )
    if condition is not None and condition.shape != (batch, width):
        raise ValueError(
            f"{name} has shape {tuple(condition.shape)}: with {setting}={width} and {batch} images it must "
            f"be ({batch}, {width})"
        )
