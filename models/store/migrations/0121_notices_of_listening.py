"""Kinds of notices more. Separate from the migration before: none locks two tables that are in use.

Workers of the previous version, while they run, close such a notice, and those of this one open it again.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

KINDS = """
ALTER TABLE notice
    DROP CONSTRAINT kind_is_known,
    ADD CONSTRAINT kind_is_known
        CHECK (kind IN ('unknown', 'mailbox', 'campaign', 'disarmed', 'complaint', 'unclear', 'consent', 'inbox',
                        'domain', 'calibration'));
COMMENT ON CONSTRAINT kind_is_known ON notice IS 'The few things that need a person.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(KINDS)
