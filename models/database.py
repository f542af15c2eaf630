"""The connection to Postgres: one per thread, opened on first use.

Owns how a session is set up. Knows nothing of the tables.
"""

from datetime import UTC, datetime
from typing import cast

from peewee import InterfaceError, OperationalError, PostgresqlDatabase

import config
from models import embedded

database = PostgresqlDatabase(None)

UNREACHABLE = (OperationalError, InterfaceError)


def open_database(name: str = "punktual") -> None:
    """Tell this process which database it works on, starting the embedded one when it is the one configured.

    name: shown by pg_stat_activity. Must be called again in a forked process.
    """
    settings = config.settings().database
    url = embedded.start(config.settings().var / "postgres") if settings.embedded else settings.url.get_secret_value()
    database.init(
        url.replace("postgres://", "postgresql://", 1),
        isolation_level="READ COMMITTED",
        application_name=name,
        connect_timeout=10,
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
    except UNREACHABLE:
        database._state.reset()


def clock() -> datetime:
    """The database's own time, now: unlike now() it does not stand still inside a transaction."""
    row = database.execute_sql("SELECT clock_timestamp()").fetchone()
    return cast(datetime, row[0]).astimezone(UTC)


def on_primary() -> bool:
    """False on a standby: a claim must never be read from a database that lags behind."""
    return not database.execute_sql("SELECT pg_is_in_recovery()").fetchone()[0]
