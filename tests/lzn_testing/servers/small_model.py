"""A model of a few lines in MLflow's format."""

import warnings
from pathlib import Path

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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*type hints", category=UserWarning)
        mlflow.pyfunc.save_model(str(folder / "saved"), python_model=str(code), pip_requirements=["mlflow"])
    return folder / "saved"
