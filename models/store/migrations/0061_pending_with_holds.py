"""The planner's index of pending e-mails also covers until when they are held. Built concurrently: see 0006_reads."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

NAME = "pending_by_campaign_and_mailbox"
COLUMNS = "campaign_id, mailbox_id, scheduled_at, id, campaign_lead_id, attempts, not_before"
REASON = "The next mail of a campaign from each mailbox, and all places that are taken."


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    # Under another name first, so that there is always one of them.
    run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}_new")
    run(f"CREATE INDEX CONCURRENTLY {NAME}_new ON campaign_email_queue ({COLUMNS}) WHERE status = 'pending'")
    run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
    run(f"ALTER INDEX {NAME}_new RENAME TO {NAME}")
    run(f"COMMENT ON INDEX {NAME} IS %s", (REASON,))
    run("SET lock_timeout = 1500")
