"""An e-mail has one successor beside those that were skipped with their removed step.

Built concurrently: see 0006_reads.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

NAME = "one_successor"
WHAT = "campaign_email_queue (predecessor_id) WHERE predecessor_id IS NOT NULL AND NOT skipped"


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    # Under another name first, so that the rule holds all the time.
    run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}_new")
    run(f"CREATE UNIQUE INDEX CONCURRENTLY {NAME}_new ON {WHAT}")
    run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
    run(f"ALTER INDEX {NAME}_new RENAME TO {NAME}")
    run(f"COMMENT ON INDEX {NAME} IS 'An e-mail is followed by one other, beside those that were skipped.'")
    run("SET lock_timeout = 1500")
