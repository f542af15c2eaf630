"""Who paused a mailbox, and why. Nullable: added instantly, and ignored by the running previous version."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

MAILBOX = """
ALTER TABLE mailbox
    ADD COLUMN paused_by text,
    ADD COLUMN paused_reason text,
    ADD COLUMN paused_reason_code text,
    ADD COLUMN paused_reason_values jsonb
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(MAILBOX)
