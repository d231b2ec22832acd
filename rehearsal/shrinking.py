"""The rule that makes the settings of a size small: which values change, and how.

A value is found by its dotted key in the parameter file. `RULE` maps patterns of keys to changes; the first pattern
that fits holds. All other values, and the names of data sets, blocks and runs, stay as they are: the DAG is that of
the size.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True)
class Divide:
    """Divide a whole number by ``by`` and round up; the result is at least ``least`` and at most ``most``."""

    by: int
    least: int = 1
    most: int | None = None

    def __call__(self, value: float) -> float:
        """Return the small value."""
        small = max(math.ceil(value / self.by), self.least)
        return small if self.most is None else min(small, self.most)


@dataclass(frozen=True)
class Multiply:
    """Multiply a number, such as a tolerance."""

    by: float

    def __call__(self, value: float) -> float:
        """Return the large value."""
        return value * self.by


_STEPS = Divide(500_000, least=4)
_IMAGES = Divide(6000, least=8)  # precision and recall need more than their 3 neighbours
_BATCH = Divide(250, least=4, most=16)
_SIDE = Divide(4, least=32)
_LOOSE = Multiply(10_000)

RULE: Mapping[str, Divide | Multiply] = {
    "hardware.num_threads": Divide(4),
    "hardware.num_workers": Divide(12),
    # Data: 256 and 224 pixels become 64 and 56; the levels of the U-Nets and CIFAR10's 32 pixels stay.
    "data.*.image_size": _SIDE,
    "data.*.expected.*": Divide(1000, least=24, most=40),
    # Networks: the same layers with fewer channels and blocks.
    "networks.*.unet.image_size": _SIDE,
    "networks.*.base_channels": Divide(16),
    "networks.*.unet.blocks_per_level": Divide(4),
    "latents.*.latent.dim": Divide(8),
    "latents.*.latent_blocks.channels": Divide(10),
    "latents.*.latent_blocks.units": Divide(10),
    "*.latent.solver.num_steps": Divide(10, least=3),
    "*.alignment.solver.num_steps": Divide(10, least=3),
    "*.alignment.num_skipped_steps": Divide(10),
    # Training.
    "schedules.*.num_steps": _STEPS,
    "*.training.num_steps": _STEPS,
    "*.training.snapshot_steps": Divide(500_000),
    "*.training.freeze_after.*": Divide(500_000),
    "schedules.*.batch_size": _BATCH,
    "schedules.*.warmup_steps": Divide(5000),
    "schedules.*.log_every": Divide(100),
    "schedules.*.checkpoint_every": Divide(500),
    "*.augmentation.size": _SIDE,
    # What follows the trainings.
    "*.num_images": _IMAGES,
    "*.sampler.?tol": _LOOSE,
    "measure.*.reconstruction.num_draws": Divide(10),
    "classify.*.slice_points": Divide(20),
    "probe.*.num_epochs": Divide(150),
    "probe.*.batch_size": _BATCH,
    "tsne.*.images_per_class": Divide(10),
    "tsne.*.perplexity": Divide(6),
    "steps.*.num_steps": Divide(50),
    "settings.*.batch_sizes": Divide(500),
    "zones.*.num_pairs": Divide(10),
    "zones.*.samples_per_pair": Divide(100),
    "zones.*.bank_samples": Divide(250),
    "zones.*_solver.num_steps": Divide(25),
    "*.batch_size": _BATCH,
    "*.encoding_batch_size": _BATCH,
}
"""Changes of values by the pattern of their dotted key (``*`` stands for any text)."""


def shrink(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a parameter file with small values.

    A list of numbers is changed number by number, without repetitions. The text, null and truth values of a key in the
    rule stay.
    """
    return {name: _shrink(value, name) for name, value in content.items()}


def change_of(key: str) -> tuple[str, Divide | Multiply] | None:
    """Return the pattern that fits a dotted key, and its change; None for a value that stays."""
    return next(((pattern, change) for pattern, change in RULE.items() if fnmatchcase(key, pattern)), None)


def _shrink(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _shrink(inner, f"{key}.{name}") for name, inner in value.items()}
    found = change_of(key)
    if found is None:
        return value
    _, change = found
    if isinstance(value, list):
        return list(dict.fromkeys(change(number) for number in value))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return change(value) if is_number else value
