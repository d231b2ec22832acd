"""Reads the checkpoints that the paper's authors released into our networks.

Read in this order; each file calls those before it:

- `checkpoint`: the file format: a state dict per module, and lists of averaged (EMA) tensors.
- `unet_names`, `resnet_names`: the released name of each of our tensors.
- `run_modules`: the modules of one run, and their tensors by released name.
- `matching`: differences between a checkpoint and modules, as error messages; transposed layouts.
- `presets`: the settings of the six released runs, `STUDIES`.
- `loading`: `load_released` builds a run's networks and loads their weights; `load_weights_into` loads into given ones.
"""

from lzn.released.checkpoint import MODULES, ReleasedCheckpoint
from lzn.released.loading import ReleasedModel, load_released, load_weights_into
from lzn.released.presets import STUDIES, ResNetRelease, Study, UNetRelease
from lzn.released.run_modules import RunModules

__all__ = [
    "MODULES",
    "STUDIES",
    "ReleasedCheckpoint",
    "ReleasedModel",
    "ResNetRelease",
    "RunModules",
    "Study",
    "UNetRelease",
    "load_released",
    "load_weights_into",
]
