"""Registration of a trained seed in MLflow, so that `mlflow models serve` finds it by an alias."""

import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lzn.inference.abilities import Ability, RunFacts
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun
from stages.runtime.provenance import ROOT, git_commit, import_closure
from stages.serving.packing import pack
from stages.serving.requests import RequestParams, as_base64
from stages.tracking.environment import set_client_defaults, tracking_uri

MODULE = "stages.serving.mlflow_model"
ARTIFACT = "run"
REQUIREMENTS = (
    "lmdb", "mlflow", "numpy", "pillow", "pydantic", "ruamel.yaml", "safetensors", "scikit-learn", "scipy", "torch",
)  # fmt: skip
"""Distributions that the model's code imports; each is pinned to the installed version."""


@dataclass(frozen=True)
class Registered:
    """The model's name in the registry, and the number of the new version."""

    name: str
    version: str


def register_seed(run: LoadedRun, seed_folder: Path, *, alias: str) -> Registered:
    """Store a seed as a new version of the model ``lzn-<size>-<run>``, and give this version the alias.

    The model contains the files of this project that its code imports, and no others.

    Raises:
        UserError: MLflow is unavailable or refuses, or a file of the run is missing.
    """
    # Weights can have hundreds of megabytes, so their upload needs a longer timeout than that of stages.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    set_client_defaults()
    import mlflow  # noqa: PLC0415 - it reads the environment, and takes seconds
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    from stages.tracking.server import FAILURES, printable, reason  # noqa: PLC0415

    facts = run.facts
    name = f"lzn-{facts.size}-{facts.name}"
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        pack(run, seed_folder, folder / ARTIFACT)
        try:
            mlflow.set_tracking_uri(tracking_uri())
            mlflow.set_experiment(f"lzn-{facts.size}-models")
            with mlflow.start_run(run_name=f"register {facts.name}, seed {facts.seed}"):
                info = mlflow.pyfunc.log_model(
                    name=facts.name,
                    python_model=str(ROOT / f"{MODULE.replace('.', '/')}.py"),
                    artifacts={ARTIFACT: str(folder / ARTIFACT)},
                    code_paths=copy_code(folder / "code"),
                    pip_requirements=requirements(),
                    signature=signature(facts),
                    input_example=input_example(run),
                    registered_model_name=name,
                    metadata={**asdict(facts), "git_commit": git_commit()},
                )
            registered = str(info.registered_model_version)
            MlflowClient().set_registered_model_alias(name, alias, registered)
        except FAILURES as error:
            uri = tracking_uri()
            raise UserError(
                f"{name} cannot be registered at {printable(uri)}: {reason(error, uri=uri)}"
            ) from error
    return Registered(name, registered)


def signature(facts: RunFacts) -> Any:
    """Return the schema that the server enforces: one optional column of images, and typed params with defaults."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema  # noqa: PLC0415

    kinds = {str: DataType.string, int: DataType.long, float: DataType.double}
    params = [ParamSpec(name, kinds[type(value)], value) for name, value in asdict(_defaults(facts)).items()]
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "image", required=False)]), params=ParamSchema(params)
    )


def input_example(run: LoadedRun) -> Any:
    """Return a request that the run can answer: one black image; runs without encoder ignore it and sample."""
    import pandas as pd  # noqa: PLC0415 - comes with MLflow

    defaults = _defaults(run.facts)
    black = np.zeros((1, *run.image_shape), dtype=np.uint8)
    return pd.DataFrame({"image": as_base64(black)}), {"task": defaults.task, "steps": defaults.steps}


def _defaults(facts: RunFacts) -> RequestParams:
    """Return the default parameters; the default task is the first of these abilities that the run has."""
    preferred = (Ability.CLASSIFY, Ability.EMBED, Ability.SAMPLE)
    return RequestParams(task=next(ability.value for ability in preferred if ability in facts.abilities))


def copy_code(target: Path) -> list[str]:
    """Copy this project's files that the model's code imports; return the top folders for MLflow's ``code_paths``."""
    files = import_closure(MODULE)
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, target / file)
    return sorted(str(target / name) for name in {file.parts[0] for file in files})


def requirements() -> list[str]:
    """Return pinned requirements without local version labels such as +cu130, which package indexes do not have."""
    return [f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS]
