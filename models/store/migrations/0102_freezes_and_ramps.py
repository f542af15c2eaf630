"""Days on which a mailbox sends nothing, and the ramp of a young mailbox."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Workers of the previous version do not know them: give such orders once they are gone.
FREEZES_AND_RAMPS = """
CREATE TABLE mailbox_freeze (
    id bigserial PRIMARY KEY,
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    first_day date NOT NULL,
    last_day date NOT NULL,
    CONSTRAINT freeze_begins_before_it_ends CHECK (first_day <= last_day)
);
CREATE INDEX mailbox_freeze_mailbox_id_last_day ON mailbox_freeze (mailbox_id, last_day);
COMMENT ON CONSTRAINT freeze_begins_before_it_ends ON mailbox_freeze IS 'Both days are frozen.';
COMMENT ON INDEX mailbox_freeze_mailbox_id_last_day IS 'Each claim asks whether its mailbox is frozen today.';
ALTER TABLE mailbox ADD COLUMN ramp_start integer, ADD COLUMN ramp_step integer, ADD COLUMN ramp_from date,
    ADD CONSTRAINT ramp_is_whole
    CHECK (num_nulls(ramp_start, ramp_step, ramp_from) IN (0, 3) AND ramp_start BETWEEN 1 AND 1000000
           AND ramp_step BETWEEN 1 AND 1000000);
COMMENT ON CONSTRAINT ramp_is_whole ON mailbox IS 'A ramp has its first day, its first limit and its step.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(FREEZES_AND_RAMPS)
