"""Requests that MLflow would answer although a part of them is unknown or too large are refused.

MLflow drops unknown params, unknown columns and unknown keys of a request, and then answers with defaults. It has no
setting against this, so `install` replaces the functions of MLflow that read requests by ones that check first. They
check only requests to models with the parameters of `stages.serving.requests`. Servers that start after it have the
limits of `stages.serving.request_limits`.
"""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

import mlflow.pyfunc
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from lzn.inference.errors import UserError
from stages.serving.request_limits import RequestLimits
from stages.serving.requests import RequestParams, check_names

COLUMNS = ("image",)
_FORMATS = ("dataframe_records", "dataframe_split", "instances", "inputs")
_KEYS = (*_FORMATS, "params")
_INSTALLED = "lzn_checks_requests"


def install() -> None:
    """Check requests in this process from now on."""
    if getattr(scoring_server, _INSTALLED, False):
        return
    pyfunc: Any = mlflow.pyfunc
    server: Any = scoring_server
    enforce_params, answer = pyfunc._enforce_params_schema, server.invocations

    def checked_params(params: Any, schema: Any) -> Any:
        if _is_ours(schema) and isinstance(params, Mapping):
            _refuse_user_errors(params)
            params = {**params, **({"class": str(params["class"])} if "class" in params else {})}
        return enforce_params(params, schema)

    def checked_answer(data: Any, content_type: str, model: Any, input_schema: Any) -> Any:
        is_json = content_type is None or content_type.strip().startswith("application/json")
        if is_json and _is_ours(model.metadata.get_params_schema()):
            _check_body(data)
        return answer(data, content_type or "application/json", model, input_schema)

    catch_errors: Callable[..., Any] = server._async_catch_mlflow_exception

    @functools.wraps(catch_errors)
    def catch_errors_and_limit(handler: Any) -> Any:
        """Stand for the decorator with which MLflow's server makes its handler of requests."""
        return RequestLimits().limited(catch_errors(handler))

    server._async_catch_mlflow_exception = catch_errors_and_limit
    pyfunc._enforce_params_schema = checked_params
    server.invocations = checked_answer
    setattr(server, _INSTALLED, True)


def _is_ours(schema: Any) -> bool:
    return schema is not None and {param.name for param in schema.params} == set(RequestParams.names())


def _refuse_user_errors(params: Mapping[str, Any]) -> None:
    try:
        check_names(map(str, params))
    except UserError as error:
        raise MlflowException.invalid_parameter_value(str(error)) from error


def _check_body(data: bytes | str) -> None:
    """Check keys and columns. What is not JSON is left to MLflow, which says so."""
    try:
        content = json.loads(data)
    except ValueError:
        return
    if not isinstance(content, dict):
        return
    unknown = sorted(set(content) - set(_KEYS))
    if unknown:
        raise MlflowException.invalid_parameter_value(
            f"unknown keys {', '.join(unknown)} in the request: use {', '.join(_FORMATS)} for the images, and "
            f"params for {', '.join(RequestParams.names())}"
        )
    columns = sorted(_columns_of(content) - set(COLUMNS))
    if columns:
        raise MlflowException.invalid_parameter_value(
            f"unknown columns {', '.join(columns)}: a row has the column image; other parameters belong into params"
        )


def _columns_of(content: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for name in ("dataframe_records", "instances", "inputs"):
        rows = content.get(name)
        for row in [rows] if isinstance(rows, dict) else rows if isinstance(rows, list) else []:
            if isinstance(row, dict):
                found |= set(row)
    split = content.get("dataframe_split")
    if isinstance(split, dict) and isinstance(split.get("columns"), list):
        found |= set(map(str, split["columns"]))
    return found
