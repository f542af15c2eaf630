"""An appended step is not for leads who are through. A nullable column: added instantly."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE campaign_step ADD COLUMN since timestamptz(3)")
