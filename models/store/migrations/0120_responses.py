"""Indexes for counting who unsubscribed and which messages wait for a person, built concurrently."""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

INDEXES = {
    "unsubscribed": (
        "suppression (email_id) WHERE reason_code = 'unsubscribed'",
        "Counts who unsubscribed from a campaign.",
    ),
    "hold_open": (
        "hold (incoming_id) WHERE lifted_at IS NULL AND NOT stops AND until IS NULL",
        "What holds its lead until a person decides.",
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
