"""Since when an e-mail is deferred, since when a mailbox's answers count, and the move that reopens a failed e-mail."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Nullable, without defaults: added instantly, and ignored by the running previous version. In the usual lock order.
COLUMNS = """
ALTER TABLE campaign_mailbox ADD COLUMN closed_reason text;
ALTER TABLE mailbox ADD COLUMN watched_from timestamptz(3), ADD COLUMN blamed_from timestamptz(3);
ALTER TABLE campaign_email_queue ADD COLUMN deferred_since timestamptz(3);
"""

# NOT VALID: the next migration checks existing rows, so that nobody waits while the history is read.
MOVES = """
ALTER TABLE email_history DROP CONSTRAINT move_is_known;
ALTER TABLE email_history ADD CONSTRAINT move_is_known CHECK (move IN (
    'plan', 'claim', 'hand_over', 'accept', 'reject', 'retry', 'release', 'doubt', 'cancel', 'replan', 'settle',
    'recover', 'reopen')) NOT VALID;
COMMENT ON CONSTRAINT move_is_known ON email_history IS 'The moves of the state machine, and no others.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(COLUMNS)
    run(MOVES)
