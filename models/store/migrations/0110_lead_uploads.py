"""Keeps an uploaded leads file while a person answers what there is to ask. The previous version does not use it."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

UPLOAD = """
CREATE TABLE lead_upload (
    campaign_id bigint PRIMARY KEY REFERENCES campaign (id) ON DELETE CASCADE,
    name text NOT NULL,
    content bytea NOT NULL,
    sheet text,
    encoding text,
    by text NOT NULL,
    at timestamptz(3) NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE lead_upload IS 'A leads file on its way into a campaign. Gone once it is imported, or a day old.';
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(UPLOAD)
