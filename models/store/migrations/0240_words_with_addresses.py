"""Indexes of the words that have an address, so that forgetting a person finds theirs; built concurrently.

They hold few rows: most e-mails have neither an error nor a reason.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

INDEXES = {
    "errors_with_addresses": (
        "campaign_email_queue (id) WHERE strpos(error, '@') > 0",
        "Errors that may name a person who is forgotten.",
    ),
    "reasons_with_addresses": (
        "email_history (id) WHERE strpos(reason, '@') > 0",
        "Reasons that may name a person who is forgotten.",
    ),
    "replies_with_addresses": (
        "attempt (id) WHERE outcome <> 'accepted' AND strpos(reply, '@') > 0",
        "Replies that may name a person who is forgotten.",
    ),
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("SET lock_timeout = 0")
    for name, (index, reason) in INDEXES.items():
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"CREATE INDEX CONCURRENTLY {name} ON {index}")
        run(f"COMMENT ON INDEX {name} IS %s", (reason,))
    run("SET lock_timeout = 1500")
