"""Whether a mailbox's provider signs (DKIM) the headers of one-click unsubscribing, which RFC 8058 demands.

A column with a constant default is added instantly, and the running previous version does not read it.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE mailbox ADD COLUMN one_click boolean NOT NULL DEFAULT false")
