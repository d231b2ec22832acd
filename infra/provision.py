"""Make the databases, roles and buckets that the servers need: `python -m infra.provision`. What exists is kept.

Reads PGHOST, PGUSER and PGPASSWORD (an administrator of PostgreSQL), POSTGRES_MLFLOW_PASSWORD and
POSTGRES_PREFECT_PASSWORD; AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (an administrator of S3).
"""

import os
import sys
from collections.abc import Mapping
from contextlib import closing

import boto3
import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from infra.buckets import make_buckets
from infra.databases import make_databases
from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET


def main(environment: Mapping[str, str]) -> int:
    """Make all of them. Return 1 after an error, which is printed in one line without passwords."""
    try:
        passwords = {
            "mlflow": environment["POSTGRES_MLFLOW_PASSWORD"],
            "prefect": environment["POSTGRES_PREFECT_PASSWORD"],
        }
        with closing(psycopg2.connect(dbname="postgres", connect_timeout=10)) as connection:
            make_databases(connection, passwords)
        make_buckets(boto3.client("s3"), DVC_BUCKET, MLFLOW_BUCKET)
    except KeyError as error:
        print(f"{error.args[0]} is not set", file=sys.stderr)
    except psycopg2.OperationalError as error:
        print(f"PostgreSQL: {error}", file=sys.stderr)
    except psycopg2.Error as error:  # its text may contain the statement, with passwords
        print(f"PostgreSQL refused a statement: {type(error).__name__}", file=sys.stderr)
    except (ClientError, BotoCoreError) as error:
        print(f"S3: {error}", file=sys.stderr)
    else:
        print(f"Databases mlflow and prefect, buckets {DVC_BUCKET} and {MLFLOW_BUCKET} exist.")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
