"""Why a campaign is paused, and since when its results count; notices to the people in charge."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Nullable, without defaults: added instantly, and ignored by the running previous version. Earlier results of a
# campaign do not count.
CAMPAIGN = """
ALTER TABLE campaign
    ADD COLUMN watched_from timestamptz(3),
    ADD COLUMN paused_by text,
    ADD COLUMN paused_reason text;
UPDATE campaign SET watched_from = clock_timestamp() WHERE status IN ('active', 'paused');
"""

# No foreign keys: creating them would lock two tables in use, against the usual lock order.
NOTICE = """
CREATE TABLE notice (
    id bigserial PRIMARY KEY,
    kind text NOT NULL CONSTRAINT kind_is_known CHECK (kind IN ('unknown', 'mailbox', 'campaign', 'disarmed')),
    subject bigint NOT NULL,
    opened_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz(3),
    due_at timestamptz(3),
    attempts integer NOT NULL DEFAULT 0 CONSTRAINT attempts_are_not_negative CHECK (attempts >= 0),
    reached text[] NOT NULL DEFAULT '{}',
    told_at timestamptz(3),
    said text,
    error text,
    CONSTRAINT closed_is_not_due CHECK (closed_at IS NULL OR due_at IS NULL)
);
CREATE UNIQUE INDEX one_open_notice ON notice (kind, subject) WHERE closed_at IS NULL;
COMMENT ON CONSTRAINT kind_is_known ON notice IS 'The few things that need a person.';
COMMENT ON CONSTRAINT attempts_are_not_negative ON notice IS 'Attempts are counted up from zero.';
COMMENT ON CONSTRAINT closed_is_not_due ON notice IS 'Nobody is told of what is over.';
COMMENT ON INDEX one_open_notice IS 'While its cause lasts a thing is told once, whoever notices it.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(CAMPAIGN)
    run(NOTICE)
