"""Login sessions as rows, so that a logout also invalidates copied cookies."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# The previous version does not use it and relies on cookies alone.
SESSIONS = """
CREATE TABLE web_session (
    id uuid PRIMARY KEY,
    ends_at timestamptz(3) NOT NULL
);
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(SESSIONS)
