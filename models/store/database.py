"""The connection to Postgres: one session per thread, from its first use until the thread closes it or gives it back.

Sets sessions up, sends statements and converts rows. Does not know the tables.
"""

import dataclasses
import os
import re
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from math import inf
from operator import itemgetter
from threading import Condition, Timer
from types import UnionType
from typing import Any, NamedTuple, TextIO, TypeVar, get_args, get_type_hints
from uuid import uuid4

from peewee import (  # type: ignore[attr-defined]  # of the last one the stubs do not know
    DatabaseError,
    InterfaceError,
    OperationalError,
    PostgresqlDatabase,
    __exception_wrapper__,
)
from psycopg2 import extensions
from psycopg2.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, ReadOnlySqlTransaction

import config
from clock import boottime, now
from models.store import embedded, timestamps, unresponsive_server

T = TypeVar("T")


class _Cursor(extensions.cursor):
    def execute(self, *arguments: Any) -> None:
        with unresponsive_server.waiting(self.connection):
            super().execute(*arguments)


class _Session(extensions.connection):
    """A connection, what is still to be sent on it, and what it has prepared or answered already."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.cursor_factory = _Cursor
        timestamps.read_on(self)
        self.begins = False  # BEGIN is sent with the next statement
        self.unsent: list[str] = []  # statements of this transaction that are sent with its next one or its COMMIT
        self.prepared: set[str] = set()
        self.known: dict[Callable[[], Any], Any] = {}
        self.given_back_at = 0.0  # by boottime()


class _GivenBack:
    """Sessions that no thread has now. The one used last is taken first: its statements are planned.

    A vacuum or an ANALYZE of a table makes each session plan its statements again, which takes 10 to 20 ms of CPU, and
    autovacuum works through a dozen tables in a second. The e-mails that are late because of it would use more and more
    sessions, each of which would plan, too, and make more e-mails late. So a busy process takes another session into
    use at most twice a second. One that is not busy takes it at once.
    """

    _WARM_SECONDS = 2.0  # a session is warm for so long after its last use
    _BUSY_SECONDS = 0.25  # the process is busy for so long after a session was given back
    # A thread of a busy process waits for a warm session until both have passed: so long since it began to wait, and
    # so long since a thread took a cold or a new one. It never waits longer than the last of these.
    _PATIENCE_SECONDS = 0.05
    _GROWTH_SECONDS = 0.5
    _MOST_SECONDS = 1.0

    def __init__(self) -> None:
        self._free: list[_Session] = []
        self._changed = Condition()
        self._given_back_at = self._grown_at = -inf

    def take(self) -> _Session | None:
        with self._changed:
            came_at = boottime()
            while not self._has_warm() and (left := self._patience_left(came_at)) > 0:
                self._changed.wait(left)
            if not self._has_warm():
                self._grown_at = boottime()
            while self._free:
                session = self._free.pop()
                if _is_usable(session):
                    return session
                session.close()
        return None

    def add(self, session: _Session) -> None:
        with self._changed:
            session.given_back_at = self._given_back_at = boottime()
            self._free.append(session)
            self._changed.notify()

    def _has_warm(self) -> bool:
        return bool(self._free) and boottime() - self._free[-1].given_back_at < self._WARM_SECONDS

    def _patience_left(self, came_at: float) -> float:
        ends = max(came_at + self._PATIENCE_SECONDS, self._grown_at + self._GROWTH_SECONDS)
        return min(ends, came_at + self._MOST_SECONDS, self._given_back_at + self._BUSY_SECONDS) - boottime()


class _Postgres(PostgresqlDatabase):
    """Peewee's database, but BEGIN and the statements of with_next() share a round trip with the next statement."""

    def _connect(self) -> _Session:
        session: _Session = _given_back.take() or super()._connect()  # type: ignore[misc]  # the stubs do not know it
        return session

    def begin(self, isolation_level: object = None) -> None:
        _session_now().begins = True

    def commit(self) -> None:
        if not self.is_closed() and (session := _session_now()).unsent:
            try:
                self._execute_cursor("COMMIT", ())
            finally:
                session.begins = False
        elif not self._is_over():
            super().commit()

    def rollback(self) -> None:
        if not self.is_closed():
            _session_now().unsent.clear()
        if not self._is_over():
            super().rollback()

    def _is_over(self) -> bool:
        """Whether the server has no transaction: none began, or its last packet has ended it."""
        if self.is_closed():
            return False
        session = _session_now()
        over = session.begins or session.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
        session.begins = False
        return over

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        session = _session_now()
        if session.unsent:
            # The parameters are filled in already, so each percent sign is doubled.
            sql, params = "; ".join((*session.unsent, _filled_in(sql, params))).replace("%", "%%"), ()
            session.unsent.clear()
        if not session.begins:
            return super()._execute_cursor(sql, params, **options)  # type: ignore[misc]  # the stubs do not know it
        try:
            return super()._execute_cursor(f"{_BEGIN}; {sql}", params, **options)  # type: ignore[misc]
        finally:
            # Still idle if the server could not parse the statement: then no transaction has begun.
            session.begins = session.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE


_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
database = _Postgres(None)
_given_back = _GivenBack()


def _session_now() -> _Session:
    session: _Session = database.connection()  # type: ignore[no-untyped-call]
    return session


def _filled_in(sql: str, params: Any) -> str:
    """A statement with its parameters as literals."""
    session = _session_now()
    with __exception_wrapper__, session.cursor() as cursor:
        filled: bytes = cursor.mogrify(sql, params) if params else sql.encode()
    return filled.decode()


FAILURES = (DatabaseError, InterfaceError)
# libpq's messages about a standby and a read-only server.
_READ_ONLY = re.compile(r"session is read-only|server is in hot standby mode")


class ColumnMismatch(TypeError):
    """The columns of a query are not the fields of the type for its rows."""


def is_outage(failure: Exception) -> bool:
    """Whether the database is unavailable, as opposed to refusing a statement.

    psycopg2 raises the base class of its errors if the server disappears during a statement.
    """
    if isinstance(failure, OperationalError | InterfaceError) or type(failure) is DatabaseError:
        return True
    return is_read_only(failure)


def is_read_only(failure: Exception) -> bool:
    """Whether the database answers but accepts no writes, as after a failover or on a disk that is nearly full."""
    if isinstance(failure, OperationalError):
        return _READ_ONLY.search(str(failure)) is not None
    return isinstance(getattr(failure, "orig", None), ReadOnlySqlTransaction)


def why(failure: Exception) -> str:
    """The failure in one line, for people."""
    words = str(failure).strip().splitlines()[0]
    if is_read_only(failure):
        return f"the database takes no writes: {words}"
    if "unsupported startup parameter" in str(failure):
        return f"sessions cannot be set up, {_POOLER}: {words}"
    what = "does not answer" if is_outage(failure) else "refuses what was asked of it"
    return f"the database {what}: {words}"


def took_too_long(failure: Exception) -> bool:
    """Whether Postgres ended a statement at its timeout, at that of its locks, or to break a deadlock."""
    return isinstance(getattr(failure, "orig", None), QueryCanceled | LockNotAvailable | DeadlockDetected)


def open_database(name: str = "punktual", connect_seconds: int = 10) -> None:
    """Configure this process's database. Starts the embedded one if that is configured.

    name: shown by pg_stat_activity. connect_seconds: no connection takes longer.
    Must be called again in a forked process.
    """
    # Peewee lets one thread connect at a time, so one host that does not answer would block all threads. The lock is
    # not needed: each thread has its own connection state.
    database._lock = nullcontext()  # type: ignore[attr-defined]
    global _given_back
    _given_back = _GivenBack()  # a fork has those of its parent, and others may lead to another database
    settings = config.settings().database
    url = embedded.start(config.settings().var / "postgres") if settings.embedded else settings.url.get_secret_value()
    database.init(
        url.replace("postgres://", "postgresql://", 1),
        connection_factory=_Session,
        application_name=name,
        connect_timeout=connect_seconds,
        # All text is UTF-8, whatever the default of the database or the role.
        client_encoding="UTF8",
        # Only a primary: a claim based on a lagging standby could send an e-mail twice.
        target_session_attrs="read-write",
        # A server that disappears without closing the connection is detected within about 30 seconds.
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
        options=" ".join(f"-c {name}={value}" for name, value in _session(settings).items()),
    )


def _session(settings: config.Database) -> dict[str, str]:
    """The settings of each session; times in milliseconds, as in pg_settings."""
    return {
        "TimeZone": "UTC",
        "lock_timeout": str(round(settings.lock_timeout_seconds * 1000)),
        "statement_timeout": str(round(settings.statement_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(round(settings.idle_in_transaction_seconds * 1000)),
        # Prepared statements are planned once. Left to its estimates, Postgres plans some of them each time.
        "plan_cache_mode": "force_generic_plan",
    }


class _Setting(NamedTuple):
    name: str
    setting: str


def unsuitable() -> str | None:
    """Why this database, or a pooler before it, cannot be used. Call it in a session with its first settings."""
    encoding = fetch("SELECT current_setting('server_encoding')")[0][0]
    if encoding != "UTF8":
        return (
            f"the database's encoding is {encoding}, and Punktual needs UTF8:"
            " create another one, `CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0`"
        )
    wanted = _session(config.settings().database)
    settings = rows(_Setting, "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(wanted),))
    found = {it.name: it.setting for it in settings}
    if lost := [f"{name} is {found[name]} and not {value}" for name, value in wanted.items() if found[name] != value]:
        return f"sessions are not set up as asked, {_POOLER}: {', '.join(lost)}"
    return f"sessions are shared, {_POOLER}" if _is_session_shared() else None


_POOLER = (
    "as behind a connection pooler like PgBouncer: name Postgres itself in PUNKTUAL_DATABASE_URL, or have the pooler"
    " keep one session a client and pass its settings on"
)


def _is_session_shared() -> bool:
    """Whether another connection sees what this one has set: a pooler would give it the same session."""
    name, token = "punktual.session", str(uuid4())
    fetch("SELECT set_config(%s, %s, false)", (name, token))
    other = database._connect()  # a second one, beside this thread's
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s, true)", (name,))
            [(found,)] = cursor.fetchall()
            return bool(found == token)
    finally:
        other.close()


def close() -> None:
    """Close this thread's connection, whatever its state.

    Peewee does not detect a dead connection: every later query of the thread would fail.
    """
    if database.is_closed():
        return
    try:
        database.close()
    except FAILURES:
        database._state.reset()  # type: ignore[attr-defined]  # forget the dead connection without talking to it


def give_back() -> None:
    """Leave this thread's session, which is as it was opened, to the next thread of the process that needs one."""
    if database.is_closed():
        return
    session = _session_now()
    if not _is_idle(session):
        close()
        return
    database._state.reset()  # type: ignore[attr-defined]  # this thread forgets it
    _given_back.add(session)


def replace_dead_session() -> None:
    """Close this thread's session if it is dead or inside a transaction. Sends nothing to find out."""
    if not database.is_closed() and not _is_usable(_session_now()):
        close()


def _is_usable(session: _Session) -> bool:
    """Whether it lives and is outside a transaction.

    In an idle session a server only sends that it ends the session: if its socket is readable, the session is over.
    Keepalives detect a server that disappeared without closing the connection.
    """
    return _is_idle(session) and not _is_readable(session, 0)


def _is_readable(session: _Session, seconds: float) -> bool:
    """Whether the session is readable within so many seconds. Unlike select(), poll() takes descriptors above 1,023."""
    waiting = select.poll()
    waiting.register(session, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _is_idle(session: _Session) -> bool:
    return not session.closed and session.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE


def replace_silent_session(seconds: float) -> None:
    """Close this thread's session as replace_dead_session() does, or if its server does not answer in this time.

    libpq itself waits for an answer without a bound.
    """
    replace_dead_session()
    if database.is_closed():
        return
    with socket.socket(fileno=os.dup(_session_now().fileno())) as line:
        overdue = Timer(seconds, unresponsive_server.hang_up, (line,))
        overdue.start()
        try:
            execute("SELECT 1")
        except FAILURES:
            close()
        finally:
            overdue.cancel()
            overdue.join()


def once_a_session(ask: Callable[[], T], *, again: bool = False) -> T:
    """The answer to a question about the database itself, asked once per session, or once more if `again`."""
    known = _session_now().known
    if again or ask not in known:
        known[ask] = ask()
    answer: T = known[ask]
    return answer


def takes_no_writes() -> bool:
    """Whether the database has become read-only since this thread's session was opened."""
    return bool(fetch("SELECT current_setting('transaction_read_only')::boolean")[0][0])


@contextmanager
def bounded_statements(seconds: float) -> Iterator[None]:
    """Have the statements in it end after this time instead of that of the settings."""
    execute(f"SET statement_timeout = {round(seconds * 1000)}")
    try:
        yield
    finally:
        execute("RESET statement_timeout")


_PARAMETER = re.compile(r"%\((\w+)\)s")


class Prepared:
    """A statement that Postgres parses and plans once per session."""

    def __init__(self, name: str, query: str) -> None:
        """query: with named parameters; one whose type Postgres cannot infer must be cast."""
        names = list(dict.fromkeys(_PARAMETER.findall(query)))
        numbered = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", query)
        self.name = name
        self.preparation = f"PREPARE {name} AS {numbered}"
        values = ", ".join(f"%({each})s" for each in names)
        self.call = f"EXECUTE {name} ({values})" if names else f"EXECUTE {name}"
        self.columns: list[str] = []  # known once it has been run


def packet_rows(
    kind: Callable[..., T], packet: Sequence[Prepared], values: Mapping[str, Any], then: Prepared | None = None
) -> list[T]:
    """Run statements in one round trip, each with its own snapshot, and return the rows of the last one.

    Outside a transaction they are one of their own. then: the packet also commits the transaction, unless that is part
    of another one, and the rows are those of this statement, which is run after it: so the packet's locks are never
    held while the server waits for this process.
    """
    session = _session_now()
    prepared = [*packet, then] if then else packet
    for statement in prepared:
        if statement.name not in session.prepared:
            # Not in the packet: if that failed, it would be unclear whether the statement was prepared.
            with __exception_wrapper__, session.cursor() as cursor:
                cursor.execute(statement.preparation)
            session.prepared.add(statement.name)
    calls = [statement.call for statement in prepared]
    if then and database.transaction_depth() == 1:
        calls.insert(-1, "COMMIT")
    cursor = _run("; ".join(calls), values)
    last = prepared[-1]
    last.columns = last.columns or [column.name for column in cursor.description]
    return [kind(**dict(zip(last.columns, found, strict=True))) for found in cursor]


def fetch(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a query and return all its rows. For a single column; several are read by rows()."""
    found: list[tuple[Any, ...]] = _run(query, values).fetchall()
    return found


def fetch_row(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Run a query that has one row or none."""
    return next(iter(fetch(query, values)), None)


def rows(kind: type[T], query: str, values: Mapping[str, object] | Sequence[object] = ()) -> list[T]:
    """Run a query and return each row as a frozen dataclass or named tuple, by the names of its columns.

    Text becomes an enum if its field is one. Raises ColumnMismatch if columns and fields differ, even without rows.
    """
    return _named(kind, _run(query, values))


def row(kind: type[T], query: str, values: Mapping[str, object] | Sequence[object] = ()) -> T | None:
    """Run a query that has one row or none, and return it as rows() does."""
    return next(iter(rows(kind, query, values)), None)


def _named(kind: type[T], cursor: Any) -> list[T]:
    convert = _fields(kind)  # type: ignore[arg-type]  # a type is hashable
    names = [column.name for column in cursor.description]
    if sorted(names) != sorted(convert):
        raise ColumnMismatch(
            f"{kind.__name__} has the fields {sorted(convert)}, and its query the columns {sorted(names)}"
        )
    found: Iterable[Sequence[object]] = cursor.fetchall()
    if names != list(convert):
        found = map(itemgetter(*map(names.index, convert)), found)
    if any(convert.values()):
        found = ([to(it) if to else it for to, it in zip(convert.values(), each, strict=True)] for each in found)
    make = _maker(kind)  # type: ignore[arg-type]
    return [make(*each) for each in found]


@cache
def _fields(kind: type) -> dict[str, Callable[[object], object] | None]:
    """The fields of a dataclass or a named tuple, each with the function that converts the driver's value, if any."""
    names = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else kind._fields  # type: ignore[attr-defined]
    hints = get_type_hints(kind)
    return {name: _converter(hints[name]) for name in names}


@cache
def _maker(kind: Callable[..., T]) -> Callable[..., T]:
    """The function that makes a row from the values of all fields, in order.

    It takes them by place, because by name a named tuple takes five times as long.
    """
    names = list(_fields(kind))
    is_by_name = dataclasses.is_dataclass(kind) and any(field.kw_only for field in dataclasses.fields(kind))
    return (lambda *values: kind(**dict(zip(names, values, strict=True)))) if is_by_name else kind


def _converter(hint: object) -> Callable[[object], object] | None:
    for each in get_args(hint) if isinstance(hint, UnionType) else (hint,):
        if isinstance(each, type) and issubclass(each, Enum):
            return lambda value: None if value is None else each(value)
    return None


def execute(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> int:
    """Run a statement and return how many rows it wrote."""
    return int(_run(query, values).rowcount)


def with_next(query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> None:
    """Send a statement whose result is not read together with its transaction's next statement, or with the COMMIT.

    It costs no round trip of its own, and what it raises is raised there. It still runs before that statement, with a
    snapshot of its own. Outside a transaction it runs at once.
    """
    if database.in_transaction():
        _session_now().unsent.append(_filled_in(query, values))
    else:
        execute(query, values)


@contextmanager
def unflushed() -> Iterator[None]:
    """A transaction whose COMMIT does not wait for the disk: for what is done again if a crash of Postgres loses it.

    Not inside another one, whose COMMIT would not wait either.
    """
    assert not database.in_transaction()
    with database.atomic():
        with_next("SET LOCAL synchronous_commit = off")
        yield


def copy_rows(query: str, lines: TextIO) -> None:
    """Run a COPY … FROM STDIN of our own. lines: in its text format."""
    if database.in_transaction():
        execute("SELECT")  # BEGIN is sent with a statement, and COPY cannot take it along
    with __exception_wrapper__, _session_now().cursor() as cursor:
        cursor.copy_expert(query, lines)


def _run(query: str, values: Mapping[str, Any] | Sequence[Any]) -> Any:
    return database.execute_sql(query, values)  # type: ignore[no-untyped-call]


@contextmanager
def by_indexes() -> Iterator[None]:
    """Have the statements in it use indexes, whatever Postgres estimates.

    Its statistics take an e-mail's status and time for independent. What is pending lies ahead and what was sent lies
    behind, so it expects far too many overdue e-mails, and reads the whole table once most of it is history.
    """
    execute("SET enable_seqscan = off")
    try:
        yield
    finally:
        execute("RESET enable_seqscan")


def notify(channel: str) -> None:
    with_next("SELECT pg_notify(%s, '')", (channel,))


def notifications(channel: str) -> Iterator[None]:
    """Yield forever, once per notification on a channel; several at once count as one. Raises FAILURES."""
    execute(f"LISTEN {channel}")
    connection = _session_now()
    while True:
        # Before it waits: a notification may have come in one packet with the answer to LISTEN.
        with __exception_wrapper__:  # converts the driver's exceptions
            connection.poll()
        if connection.notifies:
            connection.notifies.clear()
            yield
        else:
            _is_readable(connection, 60)


def clock() -> datetime:
    """The database's own time, now: unlike now() it does not stand still inside a transaction."""
    at: datetime = fetch("SELECT clock_timestamp()")[0][0]
    return at.astimezone(UTC)


Clock = Callable[[], datetime]
MACHINE: Clock = now


def clock_difference(machine: Clock = MACHINE) -> tuple[datetime, timedelta]:
    """The database's time, and the least difference of the machine's clock: the round trip may hide more."""
    before, at, after = machine(), clock(), machine()
    return at, max(before - at, at - after, timedelta(0))
