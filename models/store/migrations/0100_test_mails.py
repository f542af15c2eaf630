"""Test mails, which count towards their mailbox's daily limit."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Workers of the previous version do not count them: at most the few of the day of the upgrade.
TEST_MAILS = """
CREATE TABLE test_mail (
    id bigserial PRIMARY KEY,
    mailbox_id bigint NOT NULL REFERENCES mailbox (id),
    campaign_id bigint REFERENCES campaign (id) ON DELETE SET NULL,
    recipient text NOT NULL,
    by text NOT NULL,
    message_id text NOT NULL,
    started_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    lease_ends_at timestamptz(3) NOT NULL,
    handed_over_at timestamptz(3),
    ended_at timestamptz(3),
    outcome text CONSTRAINT outcome_is_known
        CHECK (outcome IN ('accepted', 'deferred', 'refused', 'unanswered', 'withdrawn')),
    answer text,
    CONSTRAINT ended_with_its_outcome CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE UNIQUE INDEX one_test_per_mailbox ON test_mail (mailbox_id) WHERE ended_at IS NULL;
CREATE INDEX test_mails_of_a_day ON test_mail (mailbox_id, started_at);
COMMENT ON CONSTRAINT outcome_is_known ON test_mail IS 'As in attempt.';
COMMENT ON CONSTRAINT ended_with_its_outcome ON test_mail IS 'What has ended says how.';
COMMENT ON INDEX one_test_per_mailbox IS 'No mailbox sends two mails at once.';
COMMENT ON INDEX test_mails_of_a_day IS 'Counts a mailbox''s test mails towards its daily limit.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(TEST_MAILS)
