"""The audit log also covers addresses (suppressions) and the installation (arming)."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# The running previous version writes changes of one campaign or mailbox, which stay legal. The new constraint allows
# all that the old one did, so existing rows need no check now; the next migration validates it.
CHANGE = """
ALTER TABLE change ADD COLUMN address text;
ALTER TABLE change DROP CONSTRAINT change_is_of_one;
ALTER TABLE change ADD CONSTRAINT change_is_of_one
    CHECK (num_nonnulls(campaign_id, mailbox_id, address) <= 1) NOT VALID;
COMMENT ON CONSTRAINT change_is_of_one ON change
    IS 'An order is about one campaign, one mailbox, one address, or the whole installation.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(CHANGE)
