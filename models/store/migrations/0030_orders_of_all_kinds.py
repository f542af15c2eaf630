"""Lets an order be about an address or the whole installation too: who suppressed it, who let sending go on."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# The code that runs meanwhile writes orders about one campaign or one mailbox, which stay legal. What the constraint
# before allowed this one does too: the rows that are there need no look, and the next migration takes one in peace.
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
