"""Reasons are a code and values: the sentence is made where it is shown, in the language of whoever reads it.

Beside the columns that have the English sentence, which the version before reads and writes, and which go in a later
version, once nothing of that one runs any more. What is there keeps its sentence and has no code: it is shown as it
stands. Nullable and without defaults: written in an instant, and unknown to the code that runs meanwhile.

Not one transaction, and each statement may be run again after a failure: see 0006.
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
