"""The MLflow run of a trained seed, the run of its family, and the model of the seed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lzn.runs.trained import TrainedConfiguration
from stages.tracking.identity import RunIdentity


def identity_of(configuration: TrainedConfiguration) -> RunIdentity:
    """Return the identity of the MLflow run that the training of this seed starts and later stages add to."""
    return RunIdentity(
        experiment=experiment_of(configuration.size),
        name=f"{configuration.name}, seed {configuration.run.seed}",
        key=configuration.key,
        parent=family_of(configuration),
    )


def family_of(configuration: TrainedConfiguration) -> RunIdentity:
    """Return the identity of the parent of all seeds with the same configuration and code; its name is the run's."""
    return family_of_content(configuration.model_dump(mode="json"))


def family_of_content(content: Mapping[str, Any]) -> RunIdentity:
    """Return the same from the content of a ``run.json``, without building a model to check it."""
    hashed = [
        content["name"],
        content["num_classes"],
        content["code_sha256"],
        content["checkpoint_sha256"],
        {name: value for name, value in content["run"].items() if name != "seeds"},
    ]
    key = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:16]
    return RunIdentity(experiment_of(content["size"]), content["name"], key)


def experiment_of(size: str) -> str:
    """Return the name of the MLflow experiment of a size."""
    return f"lzn-{size}"


def model_key(configuration: TrainedConfiguration, *, step: int | None = None) -> str:
    """Return the key of the seed's LoggedModel, or of its snapshot after ``step`` training steps."""
    return configuration.key if step is None else f"{configuration.key}-step-{step}"


def model_name(configuration: TrainedConfiguration, *, step: int | None = None) -> str:
    """Return the name of the same model for people: ``rf_lzn-seed-0`` or ``rf_lzn-seed-0-step-200``."""
    name = f"{configuration.name}-seed-{configuration.run.seed}"
    return name if step is None else f"{name}-step-{step}"
