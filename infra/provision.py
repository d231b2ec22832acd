"""What the servers need once: databases, roles and buckets. `python -m infra.provision`, any number of times.

Reads PGHOST, PGUSER and PGPASSWORD (an administrator of PostgreSQL), POSTGRES_MLFLOW_PASSWORD and
POSTGRES_PREFECT_PASSWORD; AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (an administrator of S3).
"""

import os
import sys
from collections.abc import Mapping

import boto3
import psycopg2
from botocore.exceptions import BotoCoreError, ClientError

from infra.buckets import make_buckets
from infra.databases import make_database
from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET


def make_databases(passwords: Mapping[str, str]) -> None:
    """Make a database for each item, a role's name with its password.

    Raises psycopg2.Error where the server, that of PGHOST, PGUSER and PGPASSWORD, cannot be reached or refuses.
    """
    connection = psycopg2.connect(dbname="postgres", connect_timeout=10)
    connection.autocommit = True  # CREATE DATABASE stands in no transaction
    try:
        for name, password in passwords.items():
            make_database(connection, name, password)
    finally:
        connection.close()


def main(environment: Mapping[str, str]) -> int:
    """Make all of it; 1 with one line on what failed, which never holds a password."""
    try:
        make_databases(
            {
                "mlflow": environment["POSTGRES_MLFLOW_PASSWORD"],
                "prefect": environment["POSTGRES_PREFECT_PASSWORD"],
            }
        )
        make_buckets(boto3.client("s3"), DVC_BUCKET, MLFLOW_BUCKET)
    except KeyError as error:
        print(f"{error.args[0]} is not set", file=sys.stderr)
    except psycopg2.OperationalError as error:
        print(f"PostgreSQL: {error}", file=sys.stderr)
    except psycopg2.Error as error:
        print(
            f"PostgreSQL refused: {type(error).__name__}", file=sys.stderr
        )  # its text may quote the statement
    except (ClientError, BotoCoreError) as error:
        print(f"S3: {error}", file=sys.stderr)
    else:
        print(f"Databases mlflow and prefect, buckets {DVC_BUCKET} and {MLFLOW_BUCKET} are there.")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
