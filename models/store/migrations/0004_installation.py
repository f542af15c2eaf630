"""The installation's id, and the move that recovers hand-overs missing from a restored backup."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

INSTALLATION = """
CREATE TABLE installation (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    single boolean NOT NULL DEFAULT true CONSTRAINT there_is_one CHECK (single),
    disarmed_reason text
);
CREATE UNIQUE INDEX installation_single ON installation (single);
INSERT INTO installation DEFAULT VALUES;
COMMENT ON CONSTRAINT there_is_one ON installation IS 'A database is one installation.';
COMMENT ON INDEX installation_single IS 'A database is one installation.';
"""

# NOT VALID: the next migration checks existing rows, so that nobody waits while the history is read.
MOVES = """
ALTER TABLE email_history DROP CONSTRAINT move_is_known;
ALTER TABLE email_history ADD CONSTRAINT move_is_known CHECK (move IN (
    'plan', 'claim', 'hand_over', 'accept', 'reject', 'retry', 'release', 'doubt', 'cancel', 'replan', 'settle',
    'recover')) NOT VALID;
COMMENT ON CONSTRAINT move_is_known ON email_history IS 'The moves of the state machine, and no others.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(INSTALLATION)
    run(MOVES)
