"""When an e-mail's copy was last searched for in the Sent folder."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE campaign_email_queue ADD COLUMN evidence_sought_at timestamptz(3)")
