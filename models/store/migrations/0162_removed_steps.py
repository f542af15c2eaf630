"""Steps that were removed from a running sequence, and the e-mails that were skipped with them. Added instantly.

The version before does not know them: it would take a removed step for one of the sequence. Its processes are to be
gone before the first step is removed.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(
        "ALTER TABLE campaign_step ADD COLUMN removed_at timestamptz(3),"
        " ADD CONSTRAINT the_first_step_stays CHECK (position > 1 OR removed_at IS NULL)"
    )
    run("COMMENT ON CONSTRAINT the_first_step_stays ON campaign_step IS 'Each sequence begins with its first step.'")
    run("ALTER TABLE campaign_email_queue ADD COLUMN skipped boolean NOT NULL DEFAULT false")
