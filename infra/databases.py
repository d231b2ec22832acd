"""Make a role and a database for each user of a PostgreSQL server."""

import contextlib
from collections.abc import Mapping

from psycopg2 import errors, extensions, sql


def make_databases(connection: extensions.connection, passwords: Mapping[str, str]) -> None:
    """Make a role and a database of the same name for each item of `passwords` (role to password).

    What exists is kept, but passwords are set again. Other roles cannot connect to the database.
    connection: an administrator's. Raises psycopg2.Error if the server refuses.
    """
    connection.autocommit = True  # CREATE DATABASE cannot run in a transaction
    for name, password in passwords.items():
        _make_database(connection, name, password)


def _make_database(connection: extensions.connection, name: str, password: str) -> None:
    # Encrypted here, because PostgreSQL logs failed statements with the passwords in them.
    verifier = extensions.encrypt_password(password, name, connection, "scram-sha-256")
    role = sql.Identifier(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        verb = sql.SQL("CREATE") if cursor.fetchone() is None else sql.SQL("ALTER")
        cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(verifier)))
        with contextlib.suppress(errors.DuplicateDatabase):
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(role))
