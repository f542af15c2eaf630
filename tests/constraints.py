"""Rows that violate constraints, as an older version or manual changes may have left them."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.store import database
from tests import factories as make

CHECKS = """
SELECT conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint
WHERE contype = 'c' AND conrelid = %s::regclass ORDER BY conname
"""


@contextmanager
def without_checks(*tables: str) -> Iterator[None]:
    """Drop the CHECKs of these tables; afterwards all rows are deleted and the CHECKs restored."""
    dropped = [(table, *check) for table in tables for check in database.fetch(CHECKS, (table,))]
    for table, name, _, _ in dropped:
        database.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    try:
        yield
    finally:
        make.nothing_left()
        for table, name, definition, comment in dropped:
            database.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            if comment is not None:
                database.execute(f"COMMENT ON CONSTRAINT {name} ON {table} IS %s", (comment,))
