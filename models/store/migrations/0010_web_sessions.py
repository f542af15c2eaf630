"""Who is logged in on the pages: a row each, so that logging out ends it whatever cookie was kept."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# The version before does not know it, and goes on by its cookies alone until it is replaced.
SESSIONS = """
CREATE TABLE web_session (
    id uuid PRIMARY KEY,
    ends_at timestamptz(3) NOT NULL
);
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(SESSIONS)
