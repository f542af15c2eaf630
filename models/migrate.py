"""Brings the database's schema up to date, one process at a time."""

import threading
from pathlib import Path

from playhouse.migrations import Runner

from models.database import database, execute, fetch

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7_364_250_919  # an arbitrary number that nothing else in this database locks


class SchemaOutdated(Exception):
    """The database lacks migrations that this code needs."""


def migrate() -> list[str]:
    """Apply what is missing, in order, and return its names."""
    with database.connection_context():
        # The lock belongs to the session: a process that dies gives it back. Another's migration may take its time.
        execute("SET lock_timeout = 0; SET statement_timeout = 0")
        # Asked for again and again: an index built beside running code waits for every statement that has begun, and
        # so would wait for one that waits for the lock.
        while not fetch("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]:
            threading.Event().wait(0.2)
        try:
            names: list[str] = _runner().up()  # type: ignore[no-untyped-call]
            return names
        finally:
            execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def missing() -> list[str]:
    """The names of the migrations that the database lacks."""
    found = _runner().status()  # type: ignore[no-untyped-call]
    return [migration.name for migration in found if not migration.applied]


def check() -> None:
    """Raise SchemaOutdated unless every migration is applied."""
    if names := missing():
        raise SchemaOutdated(f"the database lacks {', '.join(names)}: run `python -m admin migrate`")


def _runner() -> Runner:
    return Runner(database, str(_FOLDER))  # type: ignore[no-untyped-call]
