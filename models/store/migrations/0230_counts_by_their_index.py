"""Indexes of a day's counts that only the query of their own column can use.

Both begin with another column and have the same condition. Where few e-mails have been sent, as in a new database, the
planner takes one for as good as the other, and its plan is kept: each claim then read all that was sent on the day, of
all campaigns. `campaign_id IS NOT NULL` is always true, and follows only from a query that names a campaign.

Built concurrently: see 0006_reads.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

_OF_A_DAY = "COALESCE(handed_over_at, claimed_at), id, status, handed_over_at, claimed_at"
_COUNTED = "status IN ('sending', 'sent', 'unknown')"
INDEXES = {
    "used_by_campaign": (
        f"(campaign_id, {_OF_A_DAY}) WHERE {_COUNTED} AND campaign_id IS NOT NULL",
        "What counts towards a campaign's limit on a day, and its marks, without a look at a row.",
    ),
    "used_by_mailbox": (
        f"(mailbox_id, {_OF_A_DAY}) WHERE {_COUNTED} AND mailbox_id IS NOT NULL",
        "What counts towards a mailbox's limit on a day, without a look at a row.",
    ),
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    for name, (what, reason) in INDEXES.items():
        # Under another name first, so that an index that is replaced is there all the time.
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}_new")
        run(f"CREATE INDEX CONCURRENTLY {name}_new ON campaign_email_queue {what}")
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"ALTER INDEX {name}_new RENAME TO {name}")
        run(f"COMMENT ON INDEX {name} IS %s", (reason,))
    run("SET lock_timeout = 1500")
