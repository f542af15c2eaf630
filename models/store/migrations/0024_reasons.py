"""Reasons as a code and values: pages make the sentence, in the reader's language.

The columns with the English sentence stay, because the previous version reads and writes them; they can go once no
process of that version runs. Existing rows have no code, and their sentence is shown as it is. The new columns are
nullable and without defaults: added instantly, and ignored by the running previous version.

Not in one transaction; each statement can be repeated after a failure: see 0006.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

COLUMNS = {
    "campaign": "paused_reason",
    "campaign_mailbox": "closed_reason",
    "mailbox": "closed_reason",
    "campaign_email_queue": "error",
    "email_history": "reason",
    "change": "reason",
    "installation": "disarmed_reason",
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    for table, column in COLUMNS.items():
        run(
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}_code text,"
            f" ADD COLUMN IF NOT EXISTS {column}_values jsonb"
        )
