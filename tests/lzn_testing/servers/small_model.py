"""A model of a few lines in MLflow's format, and models loaded from MLflow."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import mlflow

_CODE = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Doubled(PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * value for value in model_input["x"]]

set_model(Doubled())
"""


def save_small_model(folder: Path) -> Path:
    """Write the model to ``folder/saved``, and return this folder."""
    code = folder / "doubled.py"
    code.write_text(_CODE)
    with warnings.catch_warnings(record=True):
        mlflow.pyfunc.save_model(str(folder / "saved"), python_model=str(code), pip_requirements=["mlflow"])
    return folder / "saved"


@contextmanager
def global_uri_restored() -> Iterator[None]:
    """Forget the tracking URI that is set for the whole process inside the block."""
    with mock.patch.dict(os.environ):
        yield
        mlflow.set_tracking_uri(None)


def load_model(uri: str, model: str) -> Any:
    """Load the model with the address ``model`` from the server or database ``uri``."""
    with global_uri_restored(), warnings.catch_warnings(record=True):
        mlflow.set_tracking_uri(uri)
        return mlflow.pyfunc.load_model(model)
