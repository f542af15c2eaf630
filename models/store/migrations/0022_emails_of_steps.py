"""Fills in every e-mail's step, and adds the constraints: one e-mail per lead and step, one successor per e-mail.

Rows are filled in batches, each in its own transaction and in order of ids, in which all moves lock them. Not in one
transaction; each statement can be repeated after a failure: see 0006.

The unique index on (campaign_id, campaign_lead_id) stays, because the previous version's planner uses it in ON
CONFLICT. While it exists a lead has one e-mail per campaign, whatever the steps. Before campaigns can have a second
step, and once no process of that version runs, a later migration must replace it by the rule that a lead has one
*first* e-mail: UNIQUE (campaign_id, campaign_lead_id) WHERE predecessor_id IS NULL, built before the old one is
dropped.
"""

from collections.abc import Callable
from typing import Any

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

_PORTION = 1000  # some tenths of a second, the longest that a worker waits for one of these rows

FILL = """
WITH portion AS (
    SELECT id, campaign_id FROM campaign_email_queue
    WHERE id > %(after)s AND step_id IS NULL ORDER BY id LIMIT %(portion)s FOR NO KEY UPDATE
), filled AS (
    UPDATE campaign_email_queue q SET step_id = s.id
    FROM portion JOIN campaign_step s ON s.campaign_id = portion.campaign_id AND s.position = 1
    WHERE q.id = portion.id RETURNING q.id
)
SELECT max(id) FROM filled
"""
# Validated first without blocking, so that SET NOT NULL need not scan the table under its lock.
NEVER_NULL = """
ALTER TABLE campaign_email_queue DROP CONSTRAINT IF EXISTS has_a_step;
ALTER TABLE campaign_email_queue ADD CONSTRAINT has_a_step CHECK (step_id IS NOT NULL) NOT VALID;
ALTER TABLE campaign_email_queue VALIDATE CONSTRAINT has_a_step;
ALTER TABLE campaign_email_queue ALTER COLUMN step_id SET NOT NULL;
ALTER TABLE campaign_email_queue DROP CONSTRAINT has_a_step
"""
INDEXES = {
    "campaign_email_queue_campaign_lead_id_step_id": "campaign_email_queue (campaign_lead_id, step_id)",
    "one_successor": "campaign_email_queue (predecessor_id) WHERE predecessor_id IS NOT NULL",
}
REASONS = {
    "campaign_email_queue_campaign_lead_id_step_id": "Zero duplicates: one e-mail per lead and step.",
    "one_successor": "A lead gets its e-mails one after the other: each has at most one successor.",
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., Any] = db.execute_sql
    after: int | None = 0
    while after is not None:
        [after] = run(FILL, {"after": after, "portion": _PORTION}).fetchone()
    for statement in NEVER_NULL.split(";"):
        run(statement)
    run("SET lock_timeout = 0")
    for name, what in INDEXES.items():
        # An interrupted run leaves an invalid index behind.
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {what}")
        run(f"COMMENT ON INDEX {name} IS %s", (REASONS[name],))
    run("SET lock_timeout = 1500")
