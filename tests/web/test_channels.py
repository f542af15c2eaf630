"""Connections to the pages: whoever holds many of them open does not shut the others out."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, create_server

from tests.waiting import BOUND, until
from web.guard import channels
from web.guard.channels import Channel, ProxiedChannel

Start = Callable[..., int]


def answer(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def end(server: BaseWSGIServer) -> None:
    # Its thread may find what it is to do before it is woken for it, and then has closed what wakes it.
    with suppress(OSError):
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))  # type: ignore[attr-defined]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def start(kind: type[Channel] = Channel, **bounds: float) -> int:
            """The port of a server of the real kind, whose channels have other bounds."""
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name, value in bounds.items():
                patch.setattr(channels, name, value)
            server = create_server(answer, host="127.0.0.1", port=0, threads=2, **channels.LIMITS)
            channels.serve_through(server, kind)
            running = threading.Thread(target=server.run, daemon=True)
            running.start()
            assert isinstance(server, BaseWSGIServer)
            stack.callback(server.task_dispatcher.shutdown)
            stack.callback(running.join, 20)
            stack.callback(end, server)
            return int(server.getsockname()[1])

        yield start


def connect(port: int, begin: bytes = b"GET / HTTP/1.1\r\nHost: localh", source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=BOUND, source_address=(source, 0))
    connection.sendall(begin)
    return connection


def answered(connection: socket.socket) -> int:
    """The status of the next answer, which is read to its end."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(100) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def status(port: int, source: str = "127.0.0.1") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND, source_address=(source, 0))
    connection.request("GET", "/")
    found = connection.getresponse().status
    connection.close()
    return found


class TestARequestThatIsNotWholeInTime:
    @pytest.mark.parametrize(
        "begin",
        [
            b"",
            b"GET / HTTP/1.1\r\nHost: localh",
            b"\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
        ],
        ids=["nothing", "half a header", "blank lines", "half a body"],
    )
    def test_ends_its_connection_however_it_goes_on(self, start: Start, begin: bytes) -> None:
        connection = connect(start(REQUEST_SECONDS=0.5), begin)

        def ended() -> bool:
            try:
                connection.sendall(begin[:1])  # waitress alone would take that for life
            except ConnectionError:
                return True
            return is_closed(connection)

        until(ended, "the connection to be closed")

    def test_is_one_of_those_that_follow_too(self, start: Start) -> None:
        connection = connect(start(REQUEST_SECONDS=0.5), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(connection) == 200

        connection.sendall(b"GET / HT")

        until(lambda: is_closed(connection), "the connection to be closed")

    def test_leaves_alone_one_that_has_had_its_answer(self, start: Start) -> None:
        port = start(REQUEST_SECONDS=0.5)
        rests = connect(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(rests) == 200

        slow = connect(port)
        until(lambda: is_closed(slow), "the other to be closed")

        rests.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(rests) == 200


class OnceSeen:
    """An attribute that another thread takes as soon as it has been looked at."""

    def __init__(self, value: object) -> None:
        self.values = [value]

    def __get__(self, channel: object, kind: type) -> object:
        return self.values.pop() if self.values else None


class TestAThreadThatAnswersMeanwhile:
    def test_does_not_end_the_pages_by_taking_what_was_just_looked_at(self) -> None:
        class Taken(Channel):
            _waits_since = OnceSeen(0.0)  # type: ignore[assignment]
            request = OnceSeen(channels.Parser(Adjustments()))  # type: ignore[assignment]
            will_close = True

        channel = Taken.__new__(Taken)
        channel.requests = []

        assert not channel.readable()


class TestTooManyConnections:
    def test_of_one_address_end_those_of_it_that_wait_longest(self, start: Start) -> None:
        port = start(MOST_OF_ONE_ADDRESS=5)
        other = connect(port, source="127.0.0.2")
        slow = [connect(port) for _ in range(12)]

        assert status(port) == 200
        until(lambda: sum(map(is_closed, slow)) >= 7, "the first to be closed")
        assert not is_closed(other)
        assert status(port, "127.0.0.2") == 200

    def test_a_thousand_that_are_slow_do_not_shut_the_pages(self, start: Start) -> None:
        port = start()
        slow = []
        for _ in range(1000):
            with suppress(ConnectionError):  # ended while it began
                slow.append(connect(port))

        assert [status(port) for _ in range(5)] == [200] * 5
        for each in slow:
            each.close()

    def test_of_all_addresses_end_those_that_wait_longest(self, start: Start) -> None:
        port = start(MOST=5)
        slow = [connect(port, source=f"127.0.1.{n}") for n in range(1, 11)]

        until(lambda: sum(map(is_closed, slow)) >= 5, "the first to be closed")
        assert status(port, "127.0.2.1") == 200

    def test_behind_a_proxy_are_not_counted_by_the_proxys_address(self, start: Start) -> None:
        port = start(ProxiedChannel, MOST_OF_ONE_ADDRESS=5)
        waiting = [connect(port) for _ in range(12)]

        assert status(port) == 200
        assert not any(map(is_closed, waiting))
