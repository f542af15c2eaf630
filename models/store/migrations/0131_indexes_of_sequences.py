"""Indexes that follow-ups are found by, and the planner's with what tells them apart.

Built concurrently: see 0006_reads.

one_first_email is the rule that replaces UNIQUE (campaign_id, campaign_lead_id) for sequences. The planner of the
previous version needs that one in ON CONFLICT, so it is dropped with the first follow-up: see planning/follow_ups.py.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

TABLE = "campaign_email_queue"
INDEXES = {
    "one_first_email": (
        "UNIQUE",
        "(campaign_id, campaign_lead_id) WHERE predecessor_id IS NULL",
        "A lead has one first e-mail in a campaign.",
    ),
    "follow_ups_by_campaign": (
        "",
        "(campaign_id, id) WHERE predecessor_id IS NOT NULL",
        "How many of a campaign's e-mails are follow-ups.",
    ),
    "pending_follow_ups": (
        "",
        "(mailbox_id, scheduled_at) WHERE status = 'pending' AND predecessor_id IS NOT NULL",
        "The follow-ups that need a look into their mailbox's inbox.",
    ),
    "pending_by_campaign_and_mailbox": (
        "",
        "(campaign_id, mailbox_id, scheduled_at, id, campaign_lead_id, attempts, not_before, step_id, predecessor_id)"
        " WHERE status = 'pending'",
        "The next mail of a campaign from each mailbox, and all places that are taken.",
    ),
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    for name, (unique, what, reason) in INDEXES.items():
        # Under another name first, so that an index that is replaced is there all the time.
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_new")
        run(f"CREATE {unique} INDEX CONCURRENTLY {name}_new ON {TABLE} {what}")
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"ALTER INDEX {name}_new RENAME TO {name}")
        run(f"COMMENT ON INDEX {name} IS %s", (reason,))
    run("SET lock_timeout = 1500")
