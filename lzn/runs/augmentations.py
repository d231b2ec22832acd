"""Parameters of the random augmentations of case study 2, chosen by ``kind`` in params.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from lzn.base.randomness import BatchRandom
from lzn.base.sections import Section
from lzn.data import AffineViews, SampleViews, SimCLRCrops, SimCLRDistortions, SimCLRViews
from lzn.studies import Augmentation


class AffineViewsParams(Section):
    """Affine augmentation of digits: see `lzn.data.AffineViews`."""

    kind: Literal["affine"]
    max_rotation: float
    max_scale: float
    max_shear: float
    max_shift: float
    min_contrast: float
    noise: float

    def build_on_load(self, *, num_views: int = 2) -> SampleViews | None:
        """Return None: the loading processes do not augment images."""
        return None

    def build_on_device(self) -> Augmentation:
        """Return the augmentation of a batch."""
        return AffineViews(**self.model_dump(exclude={"kind"}))


class _SimCLRParams(Section):
    """The paper's augmentation of ImageNet, as in SimCLR (section 8 of the method; D.2)."""

    size: Annotated[int, Field(ge=8)] = 224
    min_area: Annotated[float, Field(gt=0, le=1)] = 0.08
    jitter: Annotated[float, Field(ge=0)] = 0.8
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    jitter_probability: Annotated[float, Field(ge=0, le=1)] = 0.8
    grey_probability: Annotated[float, Field(ge=0, le=1)] = 0.2
    blur_kernel: Annotated[int, Field(ge=1)] = 23
    blur_probability: Annotated[float, Field(ge=0, le=1)] = 1.0

    @property
    def _distortions(self) -> dict[str, Any]:
        return self.model_dump(exclude={"kind", "size", "min_area"})


class SimCLRParams(_SimCLRParams):
    """SimCLR augmentation by the processes that load images, one image at a time."""

    kind: Literal["simclr"]

    def build_on_load(self, *, num_views: int = 2) -> SampleViews:
        """Return the function that makes ``num_views`` views of a loaded image; training needs two."""
        return SimCLRViews(size=self.size, min_area=self.min_area, num_views=num_views, **self._distortions)

    def build_on_device(self) -> Augmentation:
        """Return the identity: the loading processes have made the views."""
        return _identity


class SimCLROnDeviceParams(_SimCLRParams):
    """SimCLR augmentation with crops by the processes that load images, and all else on the device, batch by batch."""

    kind: Literal["simclr_on_device"]

    def build_on_load(self, *, num_views: int = 2) -> SampleViews:
        """Return the function that makes ``num_views`` crops of a loaded image; training needs two."""
        return SimCLRCrops(size=self.size, min_area=self.min_area, num_views=num_views)

    def build_on_device(self) -> Augmentation:
        """Return the flips, colour changes and blur of a batch."""
        return SimCLRDistortions(**self._distortions)


def _identity(images: Tensor, random: BatchRandom) -> Tensor:
    return images


AugmentationParams = Annotated[
    AffineViewsParams | SimCLRParams | SimCLROnDeviceParams, Field(discriminator="kind")
]
