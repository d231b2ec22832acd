"""The Latent Zoning Network as a library. It knows nothing of DVC, MLflow and Prefect.

``import lzn`` imports none of its packages. Each is imported when it is first used: ``lzn.flow.compute_latents``.

The method, in the order in which to read it:

- `flow`: the paper's two atomic operations, latent computation and latent alignment.
- `networks`, `rectified_flow`: the networks, and the generative model that is combined with latents.
- `studies`: the three case studies: models, training steps, inference.
- `training`: the training loop, checkpoints, averages.

What it is applied to and how it is measured:

- `datasets`, `preparation`, `data`: readers of data sets, the uniform form on disk, batches and augmentation.
- `metrics`: Frechet distance, precision and recall, MMD, linear probes.

Trained models:

- `runs`: the configuration of a run, and a trained seed on disk.
- `released`: the checkpoints that the paper's authors released.
- `inference`, `cli`: what a trained model can do, as functions and as the command ``lzn``.

`base` holds what all of them use. Imports point from later to earlier packages; `make lint` checks the order.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
_PACKAGES = frozenset({
    "cli", "data", "datasets", "flow", "inference", "metrics", "networks", "preparation", "rectified_flow", "released",
    "runs", "studies", "training",
})  # fmt: skip


def __getattr__(name: str) -> ModuleType:
    if name not in _PACKAGES:
        raise AttributeError(f"module lzn has no attribute {name!r}")
    return importlib.import_module(f"lzn.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES})
