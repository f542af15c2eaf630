"""Connections to Postgres: one per thread, and each for itself."""

import socket
import threading
from collections.abc import Iterator

import pytest

from models import database
from tests.conftest import Override


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
