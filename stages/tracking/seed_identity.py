"""The MLflow run of a trained seed."""

from lzn.runs.trained import TrainedConfiguration
from stages.tracking.records import RunIdentity


def identity_of(configuration: TrainedConfiguration) -> RunIdentity:
    """Return the identity of the MLflow run that the training of this seed starts and later stages add to."""
    return RunIdentity(
        experiment=f"lzn-{configuration.size}",
        name=f"{configuration.name}, seed {configuration.run.seed}",
        key=configuration.key,
    )
