"""A mailbox's provider, whose published limits no mailbox of it exceeds."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

# Of the mailboxes that there are, by the same rules as for new ones. Workers of the previous version do not ask.
PROVIDERS = """
ALTER TABLE mailbox ADD COLUMN provider text;
UPDATE mailbox SET provider = CASE
    WHEN smtp_host IN ('smtp.gmail.com', 'smtp.googlemail.com') THEN CASE
        WHEN split_part(address, '@', 2) IN ('gmail.com', 'googlemail.com') THEN 'gmail' ELSE 'google-workspace' END
    WHEN smtp_host = 'smtp.office365.com' THEN 'microsoft-365'
    WHEN smtp_host = 'ssl0.ovh.net' OR smtp_host LIKE '%%.mail.ovh.net' THEN 'ovh'
    WHEN smtp_host IN ('smtp.forpsi.com', 'smtp.forpsi.pl') THEN 'forpsi'
    WHEN smtp_host IN ('smtp.simply.com', 'smtp.unoeuro.com') THEN 'simply'
END
"""


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run(PROVIDERS)
