"""When an old letter was deleted, and how far the deletion has got.

Nullable and without a default: added instantly. The previous version, which knows neither, keeps every letter.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

SCHEMA = """
ALTER TABLE email_content ADD COLUMN deleted_at timestamptz(3);

CREATE TABLE letter_deletion (
    single boolean PRIMARY KEY DEFAULT true CONSTRAINT there_is_one_pass CHECK (single),
    after_at timestamptz(3) NOT NULL DEFAULT 'epoch',
    after_id bigint NOT NULL DEFAULT 0,
    next_at timestamptz(3) NOT NULL DEFAULT 'epoch'
);
INSERT INTO letter_deletion DEFAULT VALUES;
COMMENT ON TABLE letter_deletion IS 'How far the deletion of old letters has got.';
COMMENT ON CONSTRAINT there_is_one_pass ON letter_deletion IS 'Old letters are looked at by one process at a time.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(SCHEMA)
