"""Checks the history that was there before the last migration, beside the running code and without holding it up."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE email_history VALIDATE CONSTRAINT move_is_known")
