"""A TCP proxy on loopback that forwards, cuts, stalls or slows connections."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

# A server's address: (host, port), or the path of a Unix socket.
Upstream = tuple[str, int] | str
_LARGEST = 16_384
_AT_ONCE_SECONDS = 0.1


class Proxy:
    """Runs its connections in its own thread. Commands take effect at once for all of them."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._rate: float | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listening.setblocking(False)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._soon(self._accepting.cancel)
        self._thread.join(10)
        self._listening.close()

    def cut(self) -> None:
        """Reset every connection. New ones are accepted."""
        self._soon(self._cut)

    def stall(self) -> None:
        """Accept connections, but forward nothing."""
        self._soon(self._flowing.clear)

    def slow(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second

    def flow(self) -> None:
        """Forward everything at once."""
        self._rate = None
        self._soon(self._flowing.set)

    def _soon(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._accepting = self._loop.create_task(self._accept())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accepting)
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listening)
            connection = self._loop.create_task(self._carry(client))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

    def _cut(self) -> None:
        for connection in self._connections:
            connection.cancel()

    async def _end(self) -> None:
        self._cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _carry(self, client: socket.socket) -> None:
        """One connection, until both sides have ended it, or one has broken it: then the other sees it broken too."""
        server = _socket_for(self.upstream)
        try:
            for each in (client, server):
                each.setblocking(False)
            await self._loop.sock_connect(server, self.upstream)
            # A group, because a pump that outlived the other would read from what is another connection by then.
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(client, server))
                pumps.create_task(self._pump(server, client))
        except* (OSError, asyncio.CancelledError):
            _reset_on_close(client)
            _reset_on_close(server)
        finally:
            client.close()
            server.close()

    async def _pump(self, source: socket.socket, target: socket.socket) -> None:
        while got := await self._loop.sock_recv(source, _LARGEST):
            while got:
                await self._flowing.wait()
                size, seconds = self._pace(len(got))
                await asyncio.sleep(seconds)
                await self._loop.sock_sendall(target, got[:size])
                got = got[size:]
        await self._flowing.wait()
        target.shutdown(socket.SHUT_WR)

    def _pace(self, waiting: int) -> tuple[int, float]:
        """How many of the bytes that wait may go next, and after how long."""
        if self._rate is None:
            return waiting, 0.0
        size = min(waiting, max(1, int(self._rate * _AT_ONCE_SECONDS)))
        return size, size / self._rate


def _socket_for(upstream: Upstream) -> socket.socket:
    return socket.socket(socket.AF_UNIX if isinstance(upstream, str) else socket.AF_INET, socket.SOCK_STREAM)


def _reset_on_close(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
