"""The connection to Postgres: one per thread, opened on first use.

Owns how a session is set up. Knows nothing of the tables.
"""

import re
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import (  # type: ignore[attr-defined]  # of the last one the stubs do not know
    DatabaseError,
    InterfaceError,
    OperationalError,
    PostgresqlDatabase,
    __exception_wrapper__,
)
from psycopg2.errors import LockNotAvailable, QueryCanceled, ReadOnlySqlTransaction

import config
from clock import now
from models import embedded

database = PostgresqlDatabase(None)
# Peewee lets one thread connect at a time: behind a server that does not answer all of them would queue up, those too
# that have another host to go to. What a connection consists of is each thread's own.
database._lock = nullcontext()  # type: ignore[attr-defined]

FAILURES = (DatabaseError, InterfaceError)
# What libpq says of a server that is there and is no primary, or takes no writes.
_READ_ONLY = re.compile(r"session is read-only|server is in hot standby mode")


def is_outage(failure: Exception) -> bool:
    """Whether the database is away or in trouble, rather than refusing what was asked of it.

    The driver tells of a server that went away in the middle of a statement by the base class of all failures.
    """
    if isinstance(failure, OperationalError | InterfaceError) or type(failure) is DatabaseError:
        return True
    return is_read_only(failure)


def is_read_only(failure: Exception) -> bool:
    """Whether the database answers and takes no writes, as after a failover or on a disk that is nearly full."""
    if isinstance(failure, OperationalError):
        return _READ_ONLY.search(str(failure)) is not None
    return isinstance(getattr(failure, "orig", None), ReadOnlySqlTransaction)


def took_too_long(failure: Exception) -> bool:
    """Whether Postgres ended a statement at its timeout, or at that of the locks it waited for."""
    return isinstance(getattr(failure, "orig", None), QueryCanceled | LockNotAvailable)


def open_database(name: str = "punktual", connect_seconds: int = 10) -> None:
    """Tell this process which database it works on, starting the embedded one when it is the one configured.

    name: shown by pg_stat_activity. connect_seconds: no connection takes longer.
    Must be called again in a forked process.
    """
    settings = config.settings().database
    url = embedded.start(config.settings().var / "postgres") if settings.embedded else settings.url.get_secret_value()
    database.init(
        url.replace("postgres://", "postgresql://", 1),
        isolation_level="READ COMMITTED",
        application_name=name,
        connect_timeout=connect_seconds,
        # Whatever the database or the role says: all text is written and read as UTF-8.
        client_encoding="UTF8",
        # A claim read from a standby that lags behind would be a duplicate: only a primary will do.
        target_session_attrs="read-write",
        # A server that vanished without a word is noticed within about half a minute.
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
        options=_session(settings),
    )


def _session(settings: config.Database) -> str:
    values = {
        "timezone": "UTC",
        "lock_timeout": round(settings.lock_timeout_seconds * 1000),
        "statement_timeout": round(settings.statement_timeout_seconds * 1000),
        "idle_in_transaction_session_timeout": round(settings.idle_in_transaction_seconds * 1000),
    }
    return " ".join(f"-c {name}={value}" for name, value in values.items())


def close() -> None:
    """Give this thread's connection back, whatever state it is in.

    Peewee does not notice a connection that died: every later query of the thread would fail.
    """
    if database.is_closed():
        return
    try:
        database.close()
    except FAILURES:
        database._state.reset()  # type: ignore[attr-defined]  # forget the dead connection without talking to it


def takes_no_writes() -> bool:
    """Whether this thread's session, opened when the database took writes, would be refused one now."""
    return bool(fetch("SELECT current_setting('transaction_read_only')::boolean")[0][0])


def bound_statements(seconds: float) -> None:
    """Let no statement of this thread's connection take longer from now on."""
    execute(f"SET statement_timeout = {round(seconds * 1000)}")


def fetch(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a query of our own and return all its rows."""
    found: list[tuple[Any, ...]] = _run(query, values).fetchall()
    return found


def fetch_row(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Run a query of our own that has one row or none."""
    return next(iter(fetch(query, values)), None)


def execute(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> int:
    """Run a statement of our own and return how many rows it wrote."""
    return int(_run(query, values).rowcount)


def _run(query: str, values: Mapping[str, Any] | Sequence[Any]) -> Any:
    return database.execute_sql(query, values)  # type: ignore[no-untyped-call]


def notify(channel: str) -> None:
    fetch("SELECT pg_notify(%s, '')", (channel,))


def notifications(channel: str) -> Iterator[None]:
    """Yield at each notification on a channel, for ever; several at once count as one. Raises what FAILURES lists."""
    execute(f"LISTEN {channel}")
    connection = database.connection()  # type: ignore[no-untyped-call]
    while True:
        if select.select([connection], [], [], 60)[0]:
            with __exception_wrapper__:  # what the driver raises, as everything else of it comes
                connection.poll()
        if connection.notifies:
            connection.notifies.clear()
            yield


def clock() -> datetime:
    """The database's own time, now: unlike now() it does not stand still inside a transaction."""
    at: datetime = fetch("SELECT clock_timestamp()")[0][0]
    return at.astimezone(UTC)


def clock_difference(machine: Callable[[], datetime] = now) -> tuple[datetime, timedelta]:
    """The database's time, and how far the machine's is from it at the least: the round trip may hide the rest."""
    before, at, after = machine(), clock(), machine()
    return at, max(before - at, at - after, timedelta(0))
