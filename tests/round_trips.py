"""Counts statements, round trips and commits, by reading the answers of Postgres in a proxy."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from models.store import database
from tests.chaos.proxy import Proxy

# What was asked: "sessions", "round_trips", and "transactions" as Postgres counts them, whether they wrote or not.
Asked = Counter[str]


class Answers:
    """What a server says in one session (PostgreSQL's protocol 3.0): each whole answer ends with ReadyForQuery."""

    def __init__(self) -> None:
        self._unread = b""
        self._begun = False

    def read(self, more: bytes) -> Asked:
        self._unread += more
        asked: Asked = Counter()
        # A letter for the kind of message, and its length without that letter.
        while len(self._unread) > 4 and len(self._unread) > (length := int.from_bytes(self._unread[1:5])):
            if self._unread.startswith(b"Z"):
                asked += self._ready(state=self._unread[5:6])
            self._unread = self._unread[1 + length :]
        return asked

    def _ready(self, state: bytes) -> Asked:
        if not self._begun:
            self._begun = True
            return Counter(sessions=1)
        return Counter(round_trips=1, transactions=int(state == b"I"))


class CountingProxy(Proxy):
    """Counts each answer before it is forwarded."""

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        super().__init__(upstream)
        self.asked: Asked = Counter()

    async def _pump(self, source: socket.socket, target: socket.socket) -> None:
        answers = Answers() if source.getsockname() != ("127.0.0.1", self.port) else None
        while got := await asyncio.get_running_loop().sock_recv(source, 65_536):
            if answers is not None:
                self.asked = self.asked + answers.read(got)  # a new one: who looked before may compare
            await asyncio.get_running_loop().sock_sendall(target, got)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(db: None, postgres: str, settings: Callable[..., None]) -> Iterator[CountingProxy]:
    """From here on, this process connects to its database through the proxy."""
    parts = urlsplit(postgres)
    folder = parse_qs(parts.query)["host"][0]
    with CountingProxy(f"{folder}/.s.PGSQL.5432") as proxy:
        to_it = f"{parts.username}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable&gssencmode=disable"
        settings(DATABASE_URL=f"postgresql://{to_it}")
        database.close()
        database.open_database("tests")
        yield proxy
        database.close()
    settings(DATABASE_URL=postgres)
    database.open_database("tests")
