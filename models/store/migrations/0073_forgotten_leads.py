"""An index of the few forgotten leads, built concurrently."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    run("DROP INDEX CONCURRENTLY IF EXISTS forgotten_leads")
    run("CREATE INDEX CONCURRENTLY forgotten_leads ON lead (id) WHERE forgotten_at IS NOT NULL")
    run("COMMENT ON INDEX forgotten_leads IS 'Finds words about forgotten people that arrived late.'")
    run("SET lock_timeout = 1500")
