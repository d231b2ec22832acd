"""A role and a database for each user of a PostgreSQL server."""

import contextlib

from psycopg2 import errors, extensions, sql


def make_database(connection: extensions.connection, name: str, password: str) -> None:
    """Make a role and a database of the same name, which other roles cannot enter; renew a password that changed.

    connection: an administrator's, in autocommit mode. Raises psycopg2.Error where the server refuses.
    """
    # Encrypted here: PostgreSQL logs statements that fail, with the passwords in them.
    verifier = extensions.encrypt_password(password, name, connection, "scram-sha-256")
    role = sql.Identifier(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        verb = sql.SQL("CREATE") if cursor.fetchone() is None else sql.SQL("ALTER")
        cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(verifier)))
        with contextlib.suppress(errors.DuplicateDatabase):
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(role))
