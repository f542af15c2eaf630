"""A kind of notice more: see 0121."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

KINDS = """
ALTER TABLE notice
    DROP CONSTRAINT kind_is_known,
    ADD CONSTRAINT kind_is_known
        CHECK (kind IN ('unknown', 'mailbox', 'campaign', 'disarmed', 'complaint', 'unclear', 'consent', 'inbox',
                        'domain', 'calibration', 'follow_ups', 'records'));
COMMENT ON CONSTRAINT kind_is_known ON notice IS 'The few things that need a person.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(KINDS)
