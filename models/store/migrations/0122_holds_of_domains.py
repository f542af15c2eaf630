"""A reply may stop the leads at its sender's domain too, also those who are imported later.

A nullable column is added instantly; the running previous version takes such a hold for one of the lead who replied.
Indexes are built concurrently.
"""

from collections.abc import Callable

from peewee import PostgresqlDatabase
from playhouse.migrate import SchemaMigrator

atomic = False

INDEXES = {
    "hold_of_domain": (
        "hold (domain) WHERE domain IS NOT NULL AND lifted_at IS NULL",
        "Whether a lead's colleague has replied, asked for each e-mail.",
    ),
    "lead_by_domain": ("lead (split_part(address, '@', -1))", "The leads at a domain."),
}


def up(migrator: SchemaMigrator, db: PostgresqlDatabase) -> None:
    run: Callable[..., object] = db.execute_sql
    run("ALTER TABLE hold ADD COLUMN IF NOT EXISTS domain text")
    run("SET lock_timeout = 0")
    for name, (index, reason) in INDEXES.items():
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        run(f"CREATE INDEX CONCURRENTLY {name} ON {index}")
        run(f"COMMENT ON INDEX {name} IS %s", (reason,))
    run("SET lock_timeout = 1500")
