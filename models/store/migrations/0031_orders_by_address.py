"""An index for changes by address, built concurrently, and the validation of the last migration's constraint."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE change VALIDATE CONSTRAINT change_is_of_one")
    run("SET lock_timeout = 0")
    run("DROP INDEX CONCURRENTLY IF EXISTS change_by_address")
    run("CREATE INDEX CONCURRENTLY change_by_address ON change (address, id) WHERE address IS NOT NULL")
    run("COMMENT ON INDEX change_by_address IS 'Shows who suppressed an address, and who took that back.'")
    run("SET lock_timeout = 1500")
