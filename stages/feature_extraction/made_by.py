"""The network of a distance and the preparation of its images, for the recipe in the footnotes of tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MadeBy:
    """What makes the features of a distance.

    Attributes:
        network: its name.
        weights_sha256: hash of its weights.
        preprocessing: how images are resized and scaled for it.
    """

    network: str
    weights_sha256: str
    preprocessing: str
