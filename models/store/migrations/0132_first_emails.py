"""An index for a campaign's last planned first e-mail, follow-ups aside. Built concurrently: see 0006_reads."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

WHAT = "campaign_email_queue (campaign_id, scheduled_at) WHERE status = 'pending' AND predecessor_id IS NULL"


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    run("DROP INDEX CONCURRENTLY IF EXISTS pending_first_emails")
    run(f"CREATE INDEX CONCURRENTLY pending_first_emails ON {WHAT}")
    run("COMMENT ON INDEX pending_first_emails IS 'How far a campaign has been planned, follow-ups aside.'")
    run("SET lock_timeout = 1500")
