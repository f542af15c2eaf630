"""A database server that takes a question and does not answer."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.health import findings
from models.store import database, unresponsive_server
from tests.conftest import Override
from tests.waiting import BOUND, until


def test_a_wait_that_lasts_too_long_is_an_outage_for_who_waits_and_for_nobody_else(db: None) -> None:
    other = database.fetch("SELECT pg_backend_pid()")

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(database.fetch, f"SELECT pg_sleep({BOUND})")
        until(lambda: unresponsive_server._waits, "the question")
        unresponsive_server.hang_up_on_silent(0)
        failure = asked.exception(BOUND)
        threads.submit(database.close).result(BOUND)

        assert isinstance(failure, Exception)
        assert database.is_outage(failure)
        assert threads.submit(database.fetch, "SELECT 1").result(BOUND) == [(1,)]
        threads.submit(database.close).result(BOUND)
    assert database.fetch("SELECT pg_backend_pid()") == other


def test_a_wait_of_usual_length_goes_on(db: None) -> None:
    with unresponsive_server.waiting(database._session_now()):
        unresponsive_server.hang_up_on_silent(BOUND)

    assert database.fetch("SELECT 1") == [(1,)]


@pytest.mark.parametrize("seconds", [1, 900])
def test_a_wait_lasts_longer_than_any_timeout_of_a_statement(settings: Override, seconds: float) -> None:
    settings(DATABASE_STATEMENT_TIMEOUT_SECONDS=seconds)

    assert unresponsive_server.longest_wait() > max(seconds, findings.LONGEST_SECONDS)


def test_a_wait_that_has_just_ended_ends_no_other_connection() -> None:
    ours, others = socket.socketpair()
    with ours, others:
        unresponsive_server._hang_up_if_waiting(ours, since=0.0)

        others.sendall(b"still there")
        assert ours.recv(11) == b"still there"


def test_the_connection_of_a_session_that_is_closed_is_left_alone(db: None) -> None:
    session = database._session_now()
    database.close()

    with unresponsive_server.waiting(session):
        unresponsive_server.hang_up_on_silent(-1)

    assert database.fetch("SELECT 1") == [(1,)]
