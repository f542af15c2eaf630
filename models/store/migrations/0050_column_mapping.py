"""Remembers which columns of leads files are which fields of the letters. The previous version does not use it."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

MAPPING = """
CREATE TABLE column_mapping (
    header text PRIMARY KEY,
    columns jsonb NOT NULL,
    by text NOT NULL,
    at timestamptz(3) NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE column_mapping IS
    'Which columns of leads files with this header the fields of letters are read from: asked once.';
COMMENT ON COLUMN column_mapping.header IS 'SHA-256 of the names of the columns, in any order.';
COMMENT ON COLUMN column_mapping.columns IS 'Field -> the name of its column; null: it has none.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(MAPPING)
