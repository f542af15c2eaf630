"""Where a lead's legal basis comes from and since when; when a lead was forgotten; whether a legal basis is required.

A database with campaigns, mailboxes or leads is an existing installation, which goes on as before; a new one requires a
legal basis, unless the setting says otherwise. The running previous version ignores the new columns.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

LEAD = """
ALTER TABLE lead
    ADD COLUMN legal_basis_source text,
    ADD COLUMN legal_basis_date date,
    ADD COLUMN forgotten_at timestamptz(3)
"""
INSTALLATION = """
ALTER TABLE installation ADD COLUMN requires_legal_basis boolean NOT NULL DEFAULT true;
UPDATE installation SET requires_legal_basis = false
WHERE EXISTS (SELECT FROM campaign) OR EXISTS (SELECT FROM mailbox) OR EXISTS (SELECT FROM lead);
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(LEAD)
    run(INSTALLATION)
