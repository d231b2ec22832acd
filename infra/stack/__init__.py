"""The team's servers on one machine, without containers: PostgreSQL, S3, MLflow, Prefect and its workers.

`python -m infra.stack` (`__main__`) has the commands up, down, status, run and destroy. `Stack` (`stack`) does them:
it starts one background program, the supervisor (`supervisor`), which runs a thread (`restarter`) for each service.

Read in this order:

- `layout`, `credentials`, `environment`: the paths, passwords, ports and variables of a stack; all in one folder.
- `service`: what describes a server, worker or step. `postgres`, `s3` (with `s3_certificates`), `mlflow_server` and
  `prefect_server` each make such descriptions, with health checks (`http_checks`); `services` lists all of them.
- `restarter`, `status_file`, `process_tags`, `lock`, `supervisor`: run the services and restart them.
- `stack`: start, stop and inspect a stack from another process.
"""

try:
    import boto3 as _boto3  # noqa: F401
    import psycopg2 as _psycopg2  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"the stack needs {error.name}: install the dependency group `services` with "
        "`python -m pip install --constraint constraints.txt --group services`, or use `make stack`"
    ) from None

from infra.stack.errors import StackError
from infra.stack.stack import Stack

__all__ = ["Stack", "StackError"]
