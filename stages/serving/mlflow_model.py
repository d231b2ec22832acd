"""The MLflow model as code: MLflow stores this file and runs it where the model is loaded. Nothing is pickled."""

from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from lzn.inference.errors import UserError
from lzn.inference.loaded_run import choose_device
from stages.serving.packing import open_packed
from stages.serving.requests import RequestParams, answer_request
from stages.serving.strict_requests import install

ARTIFACT = "run"


class ServedRun(PythonModel):
    """A trained run that answers the requests of `stages.serving.requests`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the run from the model's artifacts."""
        self._run = open_packed(Path(context.artifacts[ARTIFACT]), device=choose_device())

    # No type hints: MLflow would derive a schema from them, and the model has its own signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Answer one request: a data frame with the column ``image``, and params.

        Raises:
            MlflowException: the request cannot be answered; the server responds with status 400.
        """
        images: list[Any] = list(model_input["image"]) if "image" in model_input else []
        try:
            return answer_request(self._run, images, RequestParams.from_mapping(params or {}))
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


install()
set_model(ServedRun())
