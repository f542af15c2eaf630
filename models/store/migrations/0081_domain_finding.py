"""What the DNS of the mailboxes' domains last said. A new table, which the previous version does not know."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

DOMAIN_FINDING = """
CREATE TABLE domain_finding (
    domain text NOT NULL,
    record text NOT NULL CONSTRAINT record_is_known CHECK (record IN ('mx', 'spf', 'dmarc')),
    state text NOT NULL CONSTRAINT state_is_known CHECK (state IN ('ok', 'weak', 'wrong', 'missing', 'unknown')),
    reason text NOT NULL,
    reason_code text,
    reason_values jsonb,
    checked_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (domain, record)
);
COMMENT ON CONSTRAINT record_is_known ON domain_finding IS 'The records of a domain that are about its mail.';
COMMENT ON CONSTRAINT state_is_known ON domain_finding IS 'Unknown is not missing: no name server answered.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(DOMAIN_FINDING)
