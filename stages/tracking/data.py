"""The splits of a prepared data set as inputs of MLflow runs."""

import json
from pathlib import Path

from lzn.data.prepared import DataDescription
from stages.tracking.records import DatasetInput

MAX_NAMES = 1000
"""Names of more classes are left out: MLflow limits the length of a profile."""


def dataset_input(data: DataDescription, split: str, *, folder: Path) -> DatasetInput:
    """Return the split ``train`` or ``test`` of the data set in ``folder``; its digest is that of the whole set."""
    profile = {
        "num_images": data.num_train if split == "train" else data.num_test,
        "image_shape": list(data.image_shape),
        "num_classes": data.num_classes,
        "class_names": list(data.class_names[:MAX_NAMES]),
    }
    return DatasetInput(
        name=f"{data.name} {split}",
        digest=data.sha256[:12],
        source=folder.as_posix(),
        profile=json.dumps(profile),
        context=split,
    )
