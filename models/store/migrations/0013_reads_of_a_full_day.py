"""Indexes for counting, drawing and searching a day with 100,000 e-mails by index-only scans.

Not in one transaction; each statement can be repeated after a failure: see 0006.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

_COUNTED = "COALESCE(handed_over_at, claimed_at), id, status, handed_over_at, claimed_at"
_IS_COUNTED = "WHERE status IN ('sending', 'sent', 'unknown')"
INDEXES = {
    "used_by_campaign": f"campaign_email_queue (campaign_id, {_COUNTED}) {_IS_COUNTED}",
    "used_by_mailbox": f"campaign_email_queue (mailbox_id, {_COUNTED}) {_IS_COUNTED}",
    "pending_by_campaign_and_mailbox": (
        "campaign_email_queue (campaign_id, mailbox_id, scheduled_at, id, campaign_lead_id, attempts)"
        " WHERE status = 'pending'"
    ),
    "moves_from_a_day": (
        "email_history (scheduled_from, scheduled_to, email_id, id) WHERE scheduled_from <> scheduled_to"
    ),
}
REASONS = {
    "used_by_campaign": "What counts towards a campaign's limit on a day, and its marks, without a look at a row.",
    "used_by_mailbox": "What counts towards a mailbox's limit on a day, without a look at a row.",
    "pending_by_campaign_and_mailbox": "The next mail of a campaign from each mailbox, and all places that are taken.",
    "moves_from_a_day": "What was planned for a day and is not any more, without a look at its history.",
}
# Replaced by the new ones.
SUPERSEDED = ("counted_by_campaign", "counted_by_mailbox", "moves_by_time")


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    for name, what in INDEXES.items():
        # An interrupted run leaves an invalid index behind.
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"CREATE INDEX CONCURRENTLY {name} ON {what}")
        run(f"COMMENT ON INDEX {name} IS %s", (REASONS[name],))
    for name in SUPERSEDED:
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    run("SET lock_timeout = 1500")
