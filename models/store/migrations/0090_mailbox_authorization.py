"""OAuth2 of mailboxes. A new table: the previous version takes such a mailbox for one without a password."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

AUTHORIZATION = """
CREATE TABLE mailbox_authorization (
    mailbox_id bigint PRIMARY KEY REFERENCES mailbox (id),
    provider text NOT NULL CONSTRAINT provider_is_known CHECK (provider IN ('microsoft', 'google')),
    tenant text,
    client_id text NOT NULL,
    client_secret_encrypted text,
    refresh_token_encrypted text NOT NULL,
    access_token_encrypted text NOT NULL,
    access_ends_at timestamptz(3) NOT NULL,
    consent_ends_at timestamptz(3),
    renewed_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    authorized_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    authorized_by text NOT NULL
);
COMMENT ON CONSTRAINT provider_is_known ON mailbox_authorization IS 'The login servers that Punktual knows.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(AUTHORIZATION)
