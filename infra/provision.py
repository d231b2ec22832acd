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
from psycopg2 import sql

from infra.make_env import DVC_BUCKET, MLFLOW_BUCKET

# What an upload that was cut off left is no object of the bucket, and is paid for all the same.
_LIFECYCLE = {
    "Rules": [
        {
            "ID": "abort-unfinished-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    ]
}


def make_databases(passwords: Mapping[str, str]) -> None:
    """Make a role and a database of the same name for each item, with that password; renew passwords that changed.

    Raises psycopg2.Error where the server cannot be reached or refuses.
    """
    connection = psycopg2.connect(
        dbname="postgres", connect_timeout=10
    )  # host and user: PGHOST, PGUSER, PGPASSWORD
    connection.autocommit = True  # CREATE DATABASE stands in no transaction
    try:
        with connection.cursor() as cursor:
            for name, password in passwords.items():
                role = sql.Identifier(name)
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
                verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
                cursor.execute(
                    sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password))
                )
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                if not cursor.fetchone():
                    cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
                cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(role))
    finally:
        connection.close()


def make_buckets(*names: str) -> None:
    """Make the buckets that are missing, and set their lifecycle.

    Raises ClientError or BotoCoreError where the server cannot be reached or refuses.
    """
    client = boto3.client("s3")
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for name in names:
        if name not in present:
            client.create_bucket(Bucket=name)
        client.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration=_LIFECYCLE)


def main(environment: Mapping[str, str]) -> int:
    """Make all of it; 1 with one line on what failed, which never holds a password."""
    try:
        make_databases(
            {
                "mlflow": environment["POSTGRES_MLFLOW_PASSWORD"],
                "prefect": environment["POSTGRES_PREFECT_PASSWORD"],
            }
        )
        make_buckets(DVC_BUCKET, MLFLOW_BUCKET)
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
        print(
            "Databases mlflow and prefect, buckets "
            + " and ".join((DVC_BUCKET, MLFLOW_BUCKET))
            + " are there."
        )
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
