"""An index for a campaign's deferred e-mails, built concurrently: see 0006_reads."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

WHAT = "campaign_email_queue (campaign_id, scheduled_at) WHERE status = 'pending' AND deferred_since IS NOT NULL"


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    run("DROP INDEX CONCURRENTLY IF EXISTS deferred_by_campaign")
    run(f"CREATE INDEX CONCURRENTLY deferred_by_campaign ON {WHAT}")
    run("COMMENT ON INDEX deferred_by_campaign IS 'The few mails that wait for another attempt, found among millions.'")
    run("SET lock_timeout = 1500")
