"""The letters that are kept, by their age in an index. Built concurrently: see 0006_reads."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    run("DROP INDEX CONCURRENTLY IF EXISTS letters_by_age")
    run("CREATE INDEX CONCURRENTLY letters_by_age ON email_content (recorded_at, email_id) WHERE content <> ''::bytea")
    run("COMMENT ON INDEX letters_by_age IS 'The letters that are kept, the oldest first: see retention.letters_days.'")
    run("SET lock_timeout = 1500")
