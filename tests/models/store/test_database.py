"""Connections to Postgres: each thread has one for itself while it needs it."""

import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import inf
from typing import Any

import pytest
from peewee import IntegrityError, ProgrammingError

import config
from models.store import database, installation
from models.store.database import Prepared, _GivenBack, packet_rows
from tests import servers
from tests.conftest import Override
from tests.round_trips import Asked, CountingProxy
from tests.waiting import BOUND, until

Another = Callable[[str], None]
NAME = f"another_{servers.PROCESS}"


@pytest.fixture
def silent(postgres: str, settings: Override) -> Iterator[socket.socket]:
    """A Postgres that takes connections, and answers to none until the test lets it go."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings(DATABASE_URL=f"postgresql://punktual@127.0.0.1:{server.getsockname()[1]}/name?sslmode=disable")
        database.close()
        database.open_database("tests")
        yield server
    settings(DATABASE_URL=postgres)
    database.open_database("tests")


def test_a_server_that_does_not_answer_holds_up_each_thread_by_itself(silent: socket.socket) -> None:
    def connect() -> None:
        with pytest.raises(database.FAILURES):
            database.clock()

    threads = [threading.Thread(target=connect) for _ in range(3)]
    for thread in threads:
        thread.start()

    # All have come as far as the server before it has answered any of them.
    silent.settimeout(BOUND)
    connections = [silent.accept()[0] for _ in threads]
    for connection in connections:
        connection.close()
    for thread in threads:
        thread.join()


@pytest.fixture
def another(postgres: str, settings: Override) -> Iterator[Another]:
    """Open a database of its own, made with these options."""

    def make(options: str) -> None:
        database.execute(f"CREATE DATABASE {NAME} TEMPLATE template0 {options}")
        database.close()
        settings(DATABASE_URL=servers.at_database(postgres, NAME))
        database.open_database("tests")

    yield make
    database.close()
    settings(DATABASE_URL=postgres)
    database.open_database("tests")
    database.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


class TestADatabaseThatKeepsTextOtherwise:
    @pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN2", "EUC_JP"])
    def test_is_refused_in_one_line_that_names_its_encoding(self, another: Another, encoding: str) -> None:
        another(f"ENCODING '{encoding}' LOCALE 'C'")

        for command in (["admin", "migrate"], ["actors", "embedded"]):
            done = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=config.ROOT,
                env={**os.environ, "PUNKTUAL_BROKER_URL": "embedded"},
                capture_output=True,
                text=True,
            )

            assert done.returncode == 1
            assert f"the database's encoding is {encoding}" in done.stderr
            assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1250", "SQL_ASCII"])
def test_text_is_sent_as_utf8_whatever_the_database_says_of_clients(another: Another, encoding: str) -> None:
    another("ENCODING 'UTF8'")
    database.execute(f"ALTER DATABASE {NAME} SET client_encoding = '{encoding}'")
    database.close()

    assert database.fetch("SELECT %s, length(%s)", ("Łukasz 😀", "Łukasz 😀")) == [("Łukasz 😀", 8)]


class TestASessionThatIsNotAsAskedFor:
    """As behind a connection pooler."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("lock_timeout", "7min"),  # long: the question itself runs under it
            ("statement_timeout", "7min"),
            ("idle_in_transaction_session_timeout", "7min"),
            ("TimeZone", "CET"),
        ],
    )
    def test_is_told_of_by_the_setting_that_was_lost(self, db: None, name: str, value: str) -> None:
        assert database.unsuitable() is None
        database.execute(f"SET {name} = '{value}'")

        assert f"{name} is " in str(database.unsuitable())


class TestATransaction:
    def test_begins_with_its_first_statement(self, proxy: CountingProxy) -> None:
        database.clock()
        before = proxy.asked

        with database.database.atomic():
            database.clock()
            database.clock()

        assert proxy.asked - before == Asked(round_trips=3, transactions=1)

    @pytest.mark.parametrize("fails", [False, True])
    def test_in_which_nothing_is_asked_is_none(self, proxy: CountingProxy, fails: bool) -> None:
        database.clock()
        before = proxy.asked

        with suppress(ZeroDivisionError), database.database.atomic():
            assert not fails or 1 / 0

        assert proxy.asked == before

    @pytest.mark.parametrize("first", ["SELEKT 1", "SELECT 1 / 0"], ids=["unreadable", "failing"])
    def test_is_taken_back_whatever_its_first_statement_came_to(self, db: None, first: str) -> None:
        """Of a statement that the server cannot even read it does not see the BEGIN before it either."""
        with suppress(ZeroDivisionError), database.database.atomic():
            for statement in (first, "UPDATE installation SET disarmed_reason = 'a test'"):
                with suppress(*database.FAILURES):
                    database.execute(statement)
            raise ZeroDivisionError

        assert installation.disarmed_reason() is None


class TestAStatementSentWithTheNext:
    NAME = "INSERT INTO change (by, verb, values) VALUES (%s, 'a test', '{}')"

    def names(self) -> list[str]:
        return [by for (by,) in database.fetch("SELECT by FROM change WHERE verb = 'a test' ORDER BY id")]

    def test_costs_no_round_trip_and_its_transaction_sees_it(self, proxy: CountingProxy) -> None:
        database.clock()
        before = proxy.asked

        with database.database.atomic():
            database.with_next(self.NAME, ("100 %s %(a)s %",))
            database.with_next(self.NAME, ("second",))
            seen = self.names()
            database.with_next(self.NAME, ("third",))

        assert proxy.asked - before == Asked(round_trips=2, transactions=1)
        assert seen == ["100 %s %(a)s %", "second"]
        assert self.names() == [*seen, "third"]

    def test_is_sent_with_the_commit_where_no_other_follows(self, proxy: CountingProxy) -> None:
        database.clock()
        before = proxy.asked

        with database.database.atomic():
            database.with_next(self.NAME, ("only",))

        assert proxy.asked - before == Asked(round_trips=1, transactions=1)
        assert self.names() == ["only"]  # outside of it, and a transaction of its own
        assert proxy.asked - before == Asked(round_trips=2, transactions=2)

    def test_leaves_a_percent_sign_of_the_next_as_it_is(self, db: None) -> None:
        with database.database.atomic():
            database.with_next("SELECT 1")
            assert database.fetch("SELECT 'a' LIKE '%'") == [(True,)]
            database.with_next("SELECT 1")
            assert database.fetch("SELECT %s LIKE %s, 5 %% 3", ("a%b", "%%")) == [(True, 2)]

    def test_runs_at_once_outside_a_transaction(self, db: None) -> None:
        database.with_next(self.NAME, ("at once",))

        assert self.names() == ["at once"]

    @pytest.mark.parametrize("is_sent", [True, False])
    def test_is_taken_back_with_its_transaction(self, db: None, is_sent: bool) -> None:
        with suppress(ZeroDivisionError), database.database.atomic():
            database.with_next(self.NAME, ("taken back",))
            if is_sent:
                database.clock()
            raise ZeroDivisionError

        database.clock()
        assert self.names() == []

    @pytest.mark.parametrize("is_sent", [True, False])
    def test_that_fails_takes_its_transaction_back(self, db: None, is_sent: bool) -> None:
        def fails() -> None:
            with database.database.atomic():
                database.with_next(self.NAME, ("first",))
                database.with_next(self.NAME, (None,))
                if is_sent:
                    database.clock()

        with pytest.raises(IntegrityError):
            fails()

        with database.database.atomic():
            database.with_next(self.NAME, ("of the next transaction",))
        assert self.names() == ["of the next transaction"]

    def test_is_sent_before_a_savepoint_and_stays_when_that_is_rolled_back(self, db: None) -> None:
        with database.database.atomic():
            database.with_next(self.NAME, ("before",))
            with suppress(ZeroDivisionError), database.database.atomic():
                database.with_next(self.NAME, ("inside",))
                raise ZeroDivisionError

        assert self.names() == ["before"]


SESSION = "SELECT pg_backend_pid()"


def session() -> int:
    return int(database.fetch(SESSION)[0][0])


@pytest.fixture
def beside(postgres: str) -> Iterator[Callable[[str], Any]]:
    """Runs a statement in a session of its own."""
    other = database.database._connect()

    def run(sql: str) -> Any:
        with other.cursor() as cursor:
            cursor.execute(sql)
            [(found,)] = cursor.fetchall()
            return found

    yield run
    other.close()


def end(pid: int, beside: Callable[[str], Any]) -> None:
    assert beside(f"SELECT pg_terminate_backend({pid})")
    until(lambda: beside(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == 0, "its end")


class TestASessionThatIsKept:
    def test_stays_where_nothing_is_wrong_with_it(self, db: None) -> None:
        before = session()

        database.replace_dead_session()

        assert session() == before

    def test_is_replaced_without_a_failure_once_the_server_has_ended_it(
        self, db: None, beside: Callable[[str], Any]
    ) -> None:
        before = session()
        end(before, beside)

        database.replace_dead_session()

        assert session() != before

    def test_is_replaced_where_a_transaction_was_left_open(self, db: None) -> None:
        before = session()
        database.execute("BEGIN")

        database.replace_dead_session()

        assert session() != before

    def test_costs_no_round_trip_to_look_at(self, proxy: CountingProxy) -> None:
        database.clock()
        before = proxy.asked

        database.replace_dead_session()

        assert proxy.asked == before


def session_of_another_thread() -> int:
    def look() -> int:
        found = session()
        database.close()
        return found

    with ThreadPoolExecutor(1) as other:
        return other.submit(look).result(BOUND)


@pytest.fixture
def cold(db: None) -> int:
    """A session that was used last long ago, and the only one that is free; this thread has taken another one since."""
    database.open_database("tests")
    found = session()
    with ThreadPoolExecutor(1) as other:
        other.submit(session).result(BOUND)
        database.give_back()
        database._given_back._free[0].given_back_at -= 10 * BOUND
        other.submit(database.give_back).result(BOUND)
    assert session() != found
    return found


@pytest.fixture(params=["_PATIENCE_SECONDS", "_GROWTH_SECONDS"])
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, others count as giving theirs back, and are waited for, for one reason."""
    reasons = dict.fromkeys(("_PATIENCE_SECONDS", "_GROWTH_SECONDS"), 0.0)
    times = reasons | dict.fromkeys(("_WARM_SECONDS", "_BUSY_SECONDS", "_MOST_SECONDS", request.param), BOUND)
    for name, seconds in times.items():
        monkeypatch.setattr(_GivenBack, name, seconds)


class TestASessionThatIsGivenBack:
    def test_serves_the_thread_that_needs_one_next(self, db: None) -> None:
        before = session()

        database.give_back()

        assert database.database.is_closed()
        assert session_of_another_thread() == before
        assert session() != before  # the other thread has closed it

    def test_serves_no_thread_once_the_server_has_ended_it(self, db: None, beside: Callable[[str], Any]) -> None:
        before = session()
        database.give_back()

        end(before, beside)

        assert session() != before

    def test_is_closed_where_a_transaction_was_left_open(self, db: None) -> None:
        before = session()
        database.execute("BEGIN")

        database.give_back()

        assert session() != before

    def test_serves_no_other_database(self, db: None) -> None:
        """A process that has been forked opens the database again."""
        before = session()
        database.give_back()

        database.open_database("tests")

        assert session() != before

    def test_that_was_used_last_is_waited_for_while_others_give_theirs_back(self, cold: int, patient: None) -> None:
        """After a busier time most sessions are cold: each of them would have to plan its statements again."""
        database.give_back()  # the warm one, at once taken by a thread that is slow to give it back
        is_taken, may_end = threading.Event(), threading.Event()
        with ThreadPoolExecutor(2) as threads:
            slow = threads.submit(self.holds_one, is_taken, may_end)
            try:
                assert is_taken.wait(BOUND)
                late = threads.submit(session_of_another_thread)
                until(lambda: database._given_back._changed._waiters, "the wait")  # type: ignore[attr-defined]
            finally:
                may_end.set()

            assert late.result(BOUND) == slow.result(BOUND) != cold

    @staticmethod
    def holds_one(is_taken: threading.Event, may_end: threading.Event) -> int:
        found = session()
        is_taken.set()
        assert may_end.wait(BOUND)
        database.give_back()
        return found

    def test_that_is_cold_is_taken_at_once_where_nothing_else_happens(
        self, cold: int, patient: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database._given_back, "_given_back_at", -inf)
        database.close()
        monkeypatch.setattr(database._given_back._changed, "wait", pytest.fail)

        assert session() == cold

    def test_that_is_cold_is_taken_where_no_other_comes_in_time(
        self, cold: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_GivenBack, "_PATIENCE_SECONDS", 0.0)
        monkeypatch.setattr(_GivenBack, "_GROWTH_SECONDS", 0.0)
        database.close()

        assert session() == cold

    def test_that_is_cold_is_taken_by_who_has_waited_longest(
        self, cold: int, patient: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Others may be faster each time."""
        monkeypatch.setattr(_GivenBack, "_MOST_SECONDS", 0.0)
        database.close()

        assert session() == cold

    def test_may_have_any_descriptor(self, db: None) -> None:
        """select() refuses those above 1,023."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        database.close()
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        try:
            before = session()
            database.give_back()

            assert session() == before
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_may_have_been_none(self, db: None) -> None:
        database.close()

        database.give_back()

        assert database.database.is_closed()


class TestAPreparedStatement:
    SUM = Prepared("sum_of_tests", "SELECT %(a)s::int + %(b)s AS sum, %(a)s AS first")

    def ask(self) -> list[dict[str, int]]:
        return packet_rows(dict, [self.SUM], {"a": 2, "b": 3})

    def test_is_prepared_once_a_session_and_then_costs_one_round_trip(self, proxy: CountingProxy) -> None:
        assert self.ask() == [{"sum": 5, "first": 2}]
        before = proxy.asked

        self.ask()

        assert proxy.asked - before == Asked(round_trips=1, transactions=1)

    def test_is_prepared_again_in_the_next_session(self, db: None) -> None:
        self.ask()
        database.close()

        assert self.ask() == [{"sum": 5, "first": 2}]

    def test_that_cannot_be_prepared_fails_each_time(self, db: None) -> None:
        nonsense = Prepared("nonsense", "SELECT no_such_column FROM mailbox")

        for _ in range(2):
            with pytest.raises(ProgrammingError, match="no_such_column"):
                packet_rows(dict, [nonsense], {})
