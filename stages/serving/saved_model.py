"""A trained seed saved in MLflow's model format, without a server. The code of the model is `mlflow_model`."""

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lzn.inference.abilities import Ability, RunFacts
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun, choose_device, open_seed
from stages.runtime.provenance import ROOT, git_commit, import_closure
from stages.serving.packing import pack
from stages.serving.requests import RequestParams, as_base64
from stages.tracking.environment import set_client_defaults

MODULE = "stages.serving.mlflow_model"
ARTIFACT = "run"
REQUIREMENTS = (
    "lmdb", "mlflow", "numpy", "pillow", "pydantic", "ruamel.yaml", "safetensors", "scikit-learn", "scipy", "torch",
)  # fmt: skip
"""Distributions that the model's code imports; each is pinned to the installed version."""


def save_seed(run: LoadedRun, seed_folder: Path, target: Path) -> None:
    """Write the model of a seed to a new folder ``target``, with the files of this project that its code imports.

    Raises:
        UserError: the training images are missing.
    """
    set_client_defaults()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow  # noqa: PLC0415 - it reads the environment, and takes seconds

    with tempfile.TemporaryDirectory() as parent, warnings.catch_warnings(record=True):
        # Recorded warnings are not shown: MLflow recommends type hints, but the model has its own schema.
        folder = Path(parent)
        pack(run, seed_folder, folder / ARTIFACT)
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(ROOT / f"{MODULE.replace('.', '/')}.py"),
            artifacts={ARTIFACT: str(folder / ARTIFACT)},
            code_paths=copy_code(folder / "code"),
            pip_requirements=requirements(),
            signature=signature(run.facts),
            input_example=input_example(run),
            metadata={
                **asdict(run.facts),
                "class_names": list(run.facts.class_names),
                "git_commit": git_commit(),
            },
        )


def save_after_training(seed_folder: Path, target: Path, *, prepared_folder: Callable[[str], Path]) -> bool:
    """Save a seed that was just trained; a failure is printed, and False is returned."""
    try:
        run = open_seed(seed_folder, prepared_folder=prepared_folder, device=choose_device())
        save_seed(run, seed_folder, target)
    except (UserError, OSError) as error:
        print(f"the model is not stored in MLflow, only its path: {error}", file=sys.stderr)
        return False
    return True


def signature(facts: RunFacts) -> Any:
    """Return the schema that the server enforces: one optional column of images, and typed params with defaults."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema  # noqa: PLC0415

    kinds = {str: DataType.string, int: DataType.long, float: DataType.double, bool: DataType.boolean}
    defaults = _defaults(facts).as_mapping()
    params = [ParamSpec(name, kinds[type(value)], value) for name, value in defaults.items()]
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
