"""Remove the trigger that wrote the attempts of workers of a version that is no longer in use: see 0023_attempts.

All later workers write them in the statement of the move, and the trigger cost each e-mail a second statement.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("DROP TRIGGER IF EXISTS record_attempt ON email_history")
    run("DROP FUNCTION IF EXISTS record_attempt()")
