"""The random views of case study 2 as a choice in params.yaml."""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from lzn.base.randomness import BatchRandom
from lzn.base.sections import Section
from lzn.data import AffineViews, SampleViews, SimCLRCrops, SimCLRDistortions, SimCLRViews
from lzn.studies import Augmentation


class AffineViewsParams(Section):
    """Augmentation of digits: see `lzn.data.AffineViews`."""

    kind: Literal["affine"]
    max_rotation: float
    max_scale: float
    max_shear: float
    max_shift: float
    min_contrast: float
    noise: float

    def build_on_load(self, *, num_views: int = 2) -> SampleViews | None:
        """Nothing is done to single images as they are loaded."""
        return None

    def build_on_device(self) -> Augmentation:
        """The augmentation of a batch."""
        return AffineViews(**self.model_dump(exclude={"kind"}))


class _SimCLRParams(Section):
    """The paper's augmentation of ImageNet, that of SimCLR (section 8 of the method; D.2)."""

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
    """All of it by the processes that load images, one image at a time."""

    kind: Literal["simclr"]

    def build_on_load(self, *, num_views: int = 2) -> SampleViews:
        """Whole views of an image; training takes two."""
        return SimCLRViews(size=self.size, min_area=self.min_area, num_views=num_views, **self._distortions)

    def build_on_device(self) -> Augmentation:
        """Nothing is left to do."""
        return _as_they_are


class SimCLROnDeviceParams(_SimCLRParams):
    """Crops by the processes that load images; the rest on the device, a batch at a time."""

    kind: Literal["simclr_on_device"]

    def build_on_load(self, *, num_views: int = 2) -> SampleViews:
        """Crops of an image; training takes two."""
        return SimCLRCrops(size=self.size, min_area=self.min_area, num_views=num_views)

    def build_on_device(self) -> Augmentation:
        """The flips, colours and blur of a batch."""
        return SimCLRDistortions(**self._distortions)


def _as_they_are(images: Tensor, random: BatchRandom) -> Tensor:
    return images


AugmentationParams = Annotated[
    AffineViewsParams | SimCLRParams | SimCLROnDeviceParams, Field(discriminator="kind")
]
