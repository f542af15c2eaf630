"""What the proxy does to a connection, between a client and a server that sends back what it gets."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy
from tests.waiting import BOUND

Pair = tuple[Proxy, socket.socket]


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while got := self.request.recv(4096):
            self.request.sendall(got)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture(params=["tcp", "unix"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    path = str(tmp_path / "echo")
    server = _Server(("127.0.0.1", 0), _Echo) if request.param == "tcp" else _UnixServer(path, _Echo)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    upstream = ("127.0.0.1", server.server_address[1]) if isinstance(server, _Server) else path
    with Proxy(upstream) as proxy, socket.create_connection(("127.0.0.1", proxy.port), timeout=BOUND) as client:
        yield proxy, client
    server.shutdown()
    server.server_close()


def said_back(client: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        got += client.recv(4096)
    return got


def test_it_passes_what_it_gets_both_ways(pair: Pair) -> None:
    _, client = pair

    client.sendall(b"hello" * 10_000)

    assert said_back(client, 50_000) == b"hello" * 10_000


def test_it_passes_on_that_a_side_has_ended(pair: Pair) -> None:
    _, client = pair

    client.shutdown(socket.SHUT_WR)

    assert client.recv(1) == b""


def test_a_cut_connection_is_reset_and_the_next_one_works(pair: Pair) -> None:
    proxy, client = pair
    client.sendall(b"a")
    assert client.recv(1) == b"a"

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=BOUND) as another:
        another.sendall(b"b")
        assert another.recv(1) == b"b"


def test_a_stalled_connection_carries_nothing_until_it_flows_again(pair: Pair) -> None:
    proxy, client = pair

    proxy.stall()
    client.sendall(b"held")
    readable, _, _ = select.select([client], [], [], 0.3)
    proxy.flow()

    assert readable == []
    assert said_back(client, 4) == b"held"


def test_a_slow_connection_carries_little_at_a_time(pair: Pair) -> None:
    proxy, client = pair
    proxy.slow(1000)

    client.sendall(b"x" * 1000)
    first = client.recv(4096)

    assert 0 < len(first) < 1000
    assert len(said_back(client, 1000 - len(first))) == 1000 - len(first)


def test_a_server_that_is_away_shows_as_a_broken_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    # The reset may come so soon that already connecting tells of it.
    with (
        Proxy(("127.0.0.1", port)) as proxy,
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", proxy.port), timeout=BOUND) as client,
    ):
        client.recv(1)
