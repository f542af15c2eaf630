"""A cancelled campaign's name is free for another campaign."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# The previous version knows its index by the beginning of this name.
NAMES = """
CREATE UNIQUE INDEX campaign_name_in_use ON campaign (name) WHERE status <> 'cancelled';
COMMENT ON INDEX campaign_name_in_use IS 'Owners call a campaign by its name, which is free once it is cancelled.';
DROP INDEX campaign_name;
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(NAMES)
