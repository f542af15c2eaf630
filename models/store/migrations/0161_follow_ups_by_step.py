"""A campaign's follow-ups, counted by step and status in an index. Built concurrently: see 0006_reads."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

NAME = "follow_ups_by_campaign"
WHAT = "campaign_email_queue (campaign_id, step_id, status) WHERE predecessor_id IS NOT NULL"


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    # Under another name first, so that an index that is replaced is there all the time.
    run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}_new")
    run(f"CREATE INDEX CONCURRENTLY {NAME}_new ON {WHAT}")
    run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
    run(f"ALTER INDEX {NAME}_new RENAME TO {NAME}")
    run(f"COMMENT ON INDEX {NAME} IS 'How many of a campaign''s e-mails are follow-ups, and what became of them.'")
    run("SET lock_timeout = 1500")
