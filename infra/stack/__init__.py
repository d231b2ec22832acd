"""The team's servers on one machine, without containers: PostgreSQL, S3, MLflow, Prefect and its workers."""

from infra.stack.errors import StackError
from infra.stack.stack import Stack

__all__ = ["Stack", "StackError"]
