"""The team's servers on one machine, without containers: PostgreSQL, S3, MLflow, Prefect and its workers."""

try:
    import boto3 as _boto3  # noqa: F401
    import psycopg2 as _psycopg2  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"the stack needs {error.name}: install the dependency group `services` with "
        "`python -m pip install --constraint constraints.txt --group services`, or start it with `make stack`"
    ) from None

from infra.stack.errors import StackError
from infra.stack.stack import Stack

__all__ = ["Stack", "StackError"]
