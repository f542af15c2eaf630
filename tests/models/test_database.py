"""Connections to Postgres: one per thread, and each for itself."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import config
from models.store import database
from tests import servers
from tests.conftest import Override

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
    silent.settimeout(5)
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
        "name", ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "TimeZone"]
    )
    def test_is_told_of_by_the_setting_that_was_lost(self, db: None, name: str) -> None:
        assert database.unsuitable() is None
        database.execute(f"SET {name} = {'1' if name != 'TimeZone' else 'CET'}")

        assert f"{name} is " in str(database.unsuitable())
