"""The two conversions of an image to the model's size: see `lzn.inference.input_images`. Needs no torch."""

from enum import StrEnum


class Fitting(StrEnum):
    """How an image of any size is converted to the model's size: see `lzn.preparation.Fit`."""

    CROP = "crop"
    PAD = "pad"
