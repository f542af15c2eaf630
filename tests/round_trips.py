"""Counts what Postgres is asked: by reading its answers on their way through a proxy, whoever asks and however."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from tests.chaos.proxy import Proxy


@dataclass(frozen=True)
class Asked:
    """How often. A transaction is one that Postgres counts, whether it wrote anything or not."""

    sessions: int = 0
    round_trips: int = 0
    transactions: int = 0

    def __add__(self, other: "Asked") -> "Asked":
        return Asked(
            self.sessions + other.sessions,
            self.round_trips + other.round_trips,
            self.transactions + other.transactions,
        )

    def __sub__(self, other: "Asked") -> "Asked":
        return Asked(
            self.sessions - other.sessions,
            self.round_trips - other.round_trips,
            self.transactions - other.transactions,
        )


_SESSION = Asked(sessions=1)
_READY_LENGTH = 5  # of its length and the state of the transaction


class Answers:
    """What a server says in one session (PostgreSQL's protocol 3.0): each whole answer ends with ReadyForQuery."""

    def __init__(self) -> None:
        self._unread = b""
        self._begun = False
        self._in_plain_words = False

    def read(self, more: bytes) -> Asked:
        self._unread += more
        asked = Asked()
        if not self._in_plain_words:
            # Asked for encryption first, a server without it says so in one letter that is no message.
            self._unread = self._unread.removeprefix(b"N")
            self._in_plain_words = True
        while len(self._unread) >= 5:
            kind, length = self._unread[:1], int.from_bytes(self._unread[1:5])
            if len(self._unread) < 1 + length:
                break
            if kind == b"Z" and length == _READY_LENGTH:
                asked += self._ready(self._unread[5:6])
            self._unread = self._unread[1 + length :]
        return asked

    def _ready(self, state: bytes) -> Asked:
        if not self._begun:
            self._begun = True
            return _SESSION
        return Asked(round_trips=1, transactions=int(state == b"I"))


class CountingProxy(Proxy):
    """Everything is counted before the one who asked has its answer."""

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        super().__init__(upstream)
        self.asked = Asked()

    async def _pump(self, source: socket.socket, target: socket.socket) -> None:
        answers = Answers() if source.getsockname() != ("127.0.0.1", self.port) else None
        while got := await asyncio.get_running_loop().sock_recv(source, 65_536):
            if answers is not None:
                self.asked += answers.read(got)
            await asyncio.get_running_loop().sock_sendall(target, got)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def counted(url: str) -> Iterator[tuple[CountingProxy, str]]:
    """The proxy before a database that is reached by a Unix socket, and its URL."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query)["host"][0]
    with CountingProxy(f"{folder}/.s.PGSQL.5432") as proxy:
        yield (
            proxy,
            f"postgresql://{parts.username}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable&gssencmode=disable",
        )
