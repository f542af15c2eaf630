"""The audit log, and indexes for the pages.

Not in one transaction: CREATE INDEX CONCURRENTLY, which does not block writes, only works outside one. So each
statement is separate and can be repeated after a failure.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

# One table in use at a time, to avoid deadlocks.
TABLES = """
CREATE TABLE IF NOT EXISTS change (
    id bigserial PRIMARY KEY,
    at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    by text NOT NULL,
    verb text NOT NULL,
    campaign_id bigint,
    mailbox_id bigint,
    values jsonb NOT NULL,
    reason text,
    CONSTRAINT change_is_of_one CHECK (num_nonnulls(campaign_id, mailbox_id) = 1)
);
ALTER TABLE change DROP CONSTRAINT IF EXISTS change_campaign_id_fkey;
ALTER TABLE change ADD CONSTRAINT change_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES campaign (id);
ALTER TABLE change DROP CONSTRAINT IF EXISTS change_mailbox_id_fkey;
ALTER TABLE change ADD CONSTRAINT change_mailbox_id_fkey FOREIGN KEY (mailbox_id) REFERENCES mailbox (id);
CREATE INDEX IF NOT EXISTS change_campaign_id_id ON change (campaign_id, id);
CREATE INDEX IF NOT EXISTS change_mailbox_id_id ON change (mailbox_id, id);
ALTER TABLE mailbox ADD COLUMN IF NOT EXISTS closed_phase text;
ALTER TABLE mailbox ADD COLUMN IF NOT EXISTS closed_code integer
"""

INDEXES = {
    "campaign_email_queue_campaign_id_scheduled_at_id": "campaign_email_queue (campaign_id, scheduled_at, id)",
    "campaign_email_queue_campaign_id_status_scheduled_at_id": (
        "campaign_email_queue (campaign_id, status, scheduled_at, id)"
    ),
    "unknown_by_id": "campaign_email_queue (id) WHERE status = 'unknown'",
    "moves_by_time": "email_history (scheduled_from) WHERE scheduled_from <> scheduled_to",
    "errors_by_mailbox": (
        "email_history (mailbox_id, id) WHERE move = 'doubt'"
        " OR (move IN ('reject', 'retry', 'release') AND detail IS NOT NULL)"
    ),
}

REASONS = {
    "CONSTRAINT change_is_of_one ON change": "An order is about one campaign or one mailbox.",
    "INDEX change_campaign_id_id": "What was ordered about a campaign, in order.",
    "INDEX change_mailbox_id_id": "What was ordered about a mailbox, in order.",
    "INDEX campaign_email_queue_campaign_id_scheduled_at_id": "The mails of a campaign in time order, page by page.",
    "INDEX campaign_email_queue_campaign_id_status_scheduled_at_id": (
        "The same in one status: the plan of a campaign, its pages, and its counts without a look at a row."
    ),
    "INDEX unknown_by_id": "The few mails that wait for a person, found among millions.",
    "INDEX moves_by_time": "What was planned for a day and is not any more.",
    "INDEX errors_by_mailbox": "What a mailbox's server last said instead of yes.",
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    for statement in TABLES.split(";"):
        run(statement)
    # These wait for all running transactions without blocking anybody.
    run("SET lock_timeout = 0")
    for name, what in INDEXES.items():
        # An interrupted run leaves an invalid index behind.
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"CREATE INDEX CONCURRENTLY {name} ON {what}")
    for thing, reason in REASONS.items():
        run(f"COMMENT ON {thing} IS %s", (reason,))
    # Replaced by the index on campaign, status and time.
    run("DROP INDEX CONCURRENTLY IF EXISTS pending_by_campaign")
    run("SET lock_timeout = 1500")
