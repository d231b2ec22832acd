"""Reading the checkpoints that the paper's authors released: their names, their layout, their six studies."""

from lzn.released.checkpoint import MODULES, ReleasedCheckpoint
from lzn.released.loading import ReleasedModel, fill_from_released, load_released
from lzn.released.parts import Parts
from lzn.released.presets import STUDIES, ResNetRelease, Study, UNetRelease

__all__ = [
    "MODULES",
    "STUDIES",
    "Parts",
    "ReleasedCheckpoint",
    "ReleasedModel",
    "ResNetRelease",
    "Study",
    "UNetRelease",
    "fill_from_released",
    "load_released",
]
