"""IMAP columns of mailboxes. Separate from the next migration: none locks two tables that are in use."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Nullable, without defaults: added instantly, and ignored by the running previous version.
COLUMNS = """
ALTER TABLE mailbox
    ADD COLUMN imap_host text,
    ADD COLUMN imap_port integer CONSTRAINT imap_port_is_a_port CHECK (imap_port BETWEEN 1 AND 65535),
    ADD COLUMN imap_security text
        CONSTRAINT imap_security_is_known CHECK (imap_security IN ('tls', 'starttls', 'none')),
    ADD COLUMN sent_folder text,
    ADD CONSTRAINT imap_is_whole CHECK (
        num_nulls(imap_host, imap_port, imap_security) IN (0, 3) AND (sent_folder IS NULL OR imap_host IS NOT NULL)),
    ADD CONSTRAINT imap_has_its_username CHECK (imap_host IS NULL OR username IS NOT NULL)
"""

REASONS = {
    "imap_port_is_a_port": "TCP has no other ports.",
    "imap_security_is_known": "A connection is encrypted from the start, upgraded, or on purpose neither.",
    "imap_is_whole": "A server without its port or security cannot be asked, nor a folder without a server.",
    "imap_has_its_username": "No server shows a Sent folder to somebody without a name.",
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(COLUMNS)
    for name, reason in REASONS.items():
        run(f"COMMENT ON CONSTRAINT {name} ON mailbox IS %s", (reason,))
