"""A campaign may have more steps than one: their waits, and what a follow-up is sent by.

Only nullable columns and columns with a constant default: added instantly, and ignored by the running previous
version. That version must not send a follow-up, whose gates it does not know. It cannot: follow_up_is_not_blind refuses
its claim, which does not say by which look into the inbox it was made. Not in one transaction: each statement locks one
table, and can be repeated after a failure.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

COLUMNS = (
    "ALTER TABLE campaign_step ADD COLUMN IF NOT EXISTS wait_count integer,"
    " ADD COLUMN IF NOT EXISTS wait_unit text, ALTER COLUMN subject DROP NOT NULL",
    "ALTER TABLE campaign ADD COLUMN IF NOT EXISTS follow_up_without_inbox boolean NOT NULL DEFAULT false,"
    " ADD COLUMN IF NOT EXISTS new_leads_per_day integer,"
    " ADD COLUMN IF NOT EXISTS follow_up_share integer NOT NULL DEFAULT 70",
    "ALTER TABLE campaign_email_queue ADD COLUMN IF NOT EXISTS wait_ends_at timestamptz(3),"
    " ADD COLUMN IF NOT EXISTS looked_at timestamptz(3), ADD COLUMN IF NOT EXISTS wire_message_id text",
)
CHECKS = {
    ("campaign_step", "a_later_step_has_its_wait"): (
        "num_nulls(wait_count, wait_unit) IN (0, 2) AND (position = 1 OR wait_count IS NOT NULL)",
        "Each letter but the first comes some time after the one before.",
    ),
    ("campaign_step", "waits_are_positive"): (
        "wait_count BETWEEN 1 AND 31536000 AND wait_unit IN ('seconds', 'minutes', 'hours', 'days', 'working days')",
        "At most a year in seconds.",
    ),
    ("campaign_step", "the_first_step_has_a_subject"): (
        "position > 1 OR subject IS NOT NULL",
        "A follow-up without a subject answers the letters before it.",
    ),
    ("campaign", "sequence_is_bounded"): (
        "new_leads_per_day BETWEEN 1 AND 1000000 AND follow_up_share BETWEEN 1 AND 100",
        "The same bounds as in bounds.py.",
    ),
    ("campaign_email_queue", "follow_up_is_not_blind"): (
        "predecessor_id IS NULL OR status <> 'sending' OR looked_at IS NOT NULL",
        "A follow-up is claimed by a look into the inbox, which previous versions do not know.",
    ),
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    for statement in COLUMNS:
        run(statement)
    for (table, name), (condition, reason) in CHECKS.items():
        run(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        # Validated without blocking.
        run(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
        run(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        run(f"COMMENT ON CONSTRAINT {name} ON {table} IS %s", (reason,))
