"""The two ways in which images of any size may be brought to a model's; see `lzn.inference.given_images`."""

from enum import StrEnum


class Fitting(StrEnum):
    """How an image of any size is brought to the model's: see `lzn.preparation.Fit`."""

    CROP = "crop"
    PAD = "pad"
