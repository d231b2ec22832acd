"""Reads the numbers that a stage wrote for each seed of a run."""

import json
from collections.abc import Sequence

from stages.measuring.quantity import NestedQuantities, combine_seeds
from stages.runtime.outputs import OutputPaths


def read_quantities(outputs: OutputPaths, stage: str, run: str, *, seeds: Sequence[int]) -> NestedQuantities:
    """Read ``metrics/<stage>/<run>/seed_<n>.json`` of these seeds and combine them."""
    return combine_seeds({seed: json.loads(outputs.measured(stage, run, seed).read_text()) for seed in seeds})
