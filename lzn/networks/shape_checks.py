"""Are these the tensors that the network was built for? If not, say what was wrong and what to give."""

from torch import Tensor


def check_images(images: Tensor, *, channels: int, size: int | None = None) -> None:
    """Images must be (b, channels, size, size), or (b, channels, any, any) without ``size``.

    Raises:
        ValueError: they are not.
    """
    sides = ("height", "width") if size is None else (str(size), str(size))
    wanted = f"(b, {channels}, {', '.join(sides)})"
    fits = images.ndim == 4 and images.shape[1] == channels
    if not fits or (size is not None and images.shape[2:] != (size, size)):
        raise ValueError(f"images have shape {tuple(images.shape)}: this network takes {wanted}")


def check_times(t: Tensor, *, batch: int) -> None:
    """Times must be (b,).

    Raises:
        ValueError: they are not.
    """
    if t.shape != (batch,):
        raise ValueError(
            f"t has shape {tuple(t.shape)}: give one time for each of the {batch} images, ({batch},)"
        )


def check_condition(name: str, condition: Tensor | None, *, setting: str, width: int, batch: int) -> None:
    """A condition must be (b, width), and given exactly if the network's ``setting`` (its width) is not 0.

    Raises:
        ValueError: it is missing, not expected, or has another shape.
    """
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
