"""Since when a domain's DNS record is missing. Nullable: added instantly, and ignored by the running previous version.

What is missing when this migration runs counts from the next check on.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE domain_finding ADD COLUMN missing_since timestamptz(3)")
