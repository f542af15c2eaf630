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
    """The database, or what stands before it, cannot keep what is promised."""


def migrate() -> list[str]:
    """Apply what is missing, in order, and return its names."""
    with database.connection_context():
        _refuse_unsuitable()
        execute("SET statement_timeout = 0")
        # The lock belongs to the session: a process that dies gives it back. Another's migration may take its time.
        # Asked for again and again: an index built beside running code waits for every statement that has begun, and
        # so would wait for one that waits for the lock.
        while not fetch("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]:
            threading.Event().wait(0.2)
        try:
            return _apply(missing())
        finally:
            execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def _apply(names: list[str]) -> list[str]:
    """A table that something reads for long, a backup for instance, is asked for in short tries.

    Whoever wants the table meanwhile queues up behind a try: one that waited would stop all mail.
    """
    while True:
        execute("SET lock_timeout = %s", (_TRY_MILLISECONDS,))
        try:
            _runner().up()  # type: ignore[no-untyped-call]
            return names
        except OperationalError as failure:
            if not took_too_long(failure):
                raise
            threading.Event().wait(_PAUSE_SECONDS)


def missing() -> list[str]:
    """The names of the migrations that the database lacks."""
    found = _runner().status()  # type: ignore[no-untyped-call]
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
    return Runner(database, str(FOLDER))  # type: ignore[no-untyped-call]
