"""The latest result of each invariant's check."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

FINDINGS = """
CREATE TABLE finding (
    rule text PRIMARY KEY,
    violations integer NOT NULL CONSTRAINT violations_are_not_negative CHECK (violations >= 0),
    example text,
    checked_at timestamptz(3) NOT NULL
);
COMMENT ON CONSTRAINT violations_are_not_negative ON finding IS 'A count.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(FINDINGS)
