"""Brings the database's schema up to date, one process at a time."""

import threading
from pathlib import Path

from peewee import OperationalError
from playhouse.migrations import Runner

from models.store.database import database, execute, fetch, took_too_long, unsuitable

FOLDER = Path(__file__).parent / "migrations"
_LOCK = 7_364_250_919  # an arbitrary number that nothing else in this database locks
_TRY_MILLISECONDS = 1500
_PAUSE_SECONDS = 3.0


class SchemaOutdated(Exception):
    """The database lacks migrations that this code needs."""


class DatabaseUnsuitable(Exception):
    """The database, or a pooler in front of it, cannot give the guarantees that Punktual needs."""


def migrate() -> list[str]:
    """Apply the missing migrations in order and return their names."""
    with database.connection_context():
        _refuse_unsuitable()
        execute("SET statement_timeout = 0")
        # The lock ends with its session, so a process that dies releases it. Polled, because another process's
        # CREATE INDEX CONCURRENTLY waits for all running statements, and would wait for one that waits for the lock.
        while not fetch("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]:
            threading.Event().wait(0.2)
        try:
            return _apply(missing())
        finally:
            execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _apply(names: list[str]) -> list[str]:
    """Apply with a short lock timeout, and repeat: something (a backup, say) may be reading the table for long.

    All other users of the table queue behind our lock request, so a long wait would stop all sending.
    """
    while True:
        execute("SET lock_timeout = %s", (_TRY_MILLISECONDS,))
        try:
            _runner().up()
            return names
        except OperationalError as failure:
            if not took_too_long(failure):
                raise
            threading.Event().wait(_PAUSE_SECONDS)


def missing() -> list[str]:
    """The names of the migrations not yet applied."""
    found = _runner().status()
    return [migration.name for migration in found if not migration.applied]


def check() -> None:
    """Raise DatabaseUnsuitable, or SchemaOutdated unless every migration is applied."""
    _refuse_unsuitable()
    if names := missing():
        raise SchemaOutdated(f"the database lacks {', '.join(names)}: run `python -m admin migrate`")


def _refuse_unsuitable() -> None:
    if reason := unsuitable():
        raise DatabaseUnsuitable(reason)


def _runner() -> Runner:
    return Runner(database, str(FOLDER))
