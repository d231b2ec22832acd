"""The LoggedModels of a trained seed: the model after training and one for each snapshot."""

import tempfile
from pathlib import Path

from lzn.base.files import file_sha256
from lzn.runs.trained import WEIGHTS, TrainedConfiguration
from stages.runtime.outputs import OutputPaths
from stages.serving.saved_model import save_after_training
from stages.tracking import Tracker
from stages.tracking.seed_identity import model_key, model_name

LARGEST_MB = 100
"""Larger weights are not copied to MLflow at the end of the training: ``lzn register`` does it for those in use."""


def log_models(
    tracker: Tracker, configuration: TrainedConfiguration, folder: Path, outputs: OutputPaths
) -> None:
    """Log the model in ``folder`` with its files, or by its path if it is large, and snapshots by their paths."""
    training = configuration.run.training

    def log(weights: Path, *, step: int | None = None, saved: Path | None = None) -> None:
        tags = {
            "run": configuration.name,
            "size": configuration.size,
            "weights.path": weights.as_posix(),
            "weights.sha256": file_sha256(weights),
            **({} if saved else {"mlflow.model.isExternal": "true"}),
        }
        params = {
            "study": configuration.run.study,
            "data": configuration.run.data,
            "seed": str(configuration.run.seed),
        }
        tracker.log_model(
            model_key(configuration, step=step),
            model_name(configuration, step=step),
            step=training.num_steps if step is None else step,
            tags=tags,
            params=params,
            folder=saved,
        )

    for snapshot in sorted((folder / "snapshots").glob("step_*.safetensors")):
        log(snapshot, step=int(snapshot.stem.removeprefix("step_")))
    weights = folder / WEIGHTS
    with tempfile.TemporaryDirectory() as parent:
        target = Path(parent) / "model"
        is_small = weights.stat().st_size <= LARGEST_MB * 1_000_000
        is_saved = is_small and save_after_training(
            folder, target, prepared_folder=lambda data: outputs.folder("prepare", data)
        )
        log(weights, saved=target if is_saved else None)
