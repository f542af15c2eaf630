"""Validates the last migration's constraint on existing rows, without blocking the running code."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE email_history VALIDATE CONSTRAINT move_is_known")
