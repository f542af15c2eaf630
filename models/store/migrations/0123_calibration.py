"""What calibration mails have shown. A new table, which the previous version does not know."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

CALIBRATION_FINDING = """
CREATE TABLE calibration_finding (
    mailbox_id bigint NOT NULL,
    record text NOT NULL CONSTRAINT record_is_known CHECK
        (record IN ('arrival', 'spf', 'dkim', 'dmarc', 'one_click', 'message_id', 'sent_copy')),
    state text NOT NULL CONSTRAINT state_is_known CHECK (state IN ('ok', 'weak', 'wrong', 'missing', 'unknown')),
    reason text NOT NULL,
    reason_code text,
    reason_values jsonb,
    checked_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (mailbox_id, record)
);
COMMENT ON CONSTRAINT record_is_known ON calibration_finding IS 'What a calibration mail shows.';
COMMENT ON CONSTRAINT state_is_known ON calibration_finding IS 'Unknown is not missing: nobody said.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(CALIBRATION_FINDING)
