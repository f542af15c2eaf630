"""Bounds on connections to the pages, so that no client can shut the others out.

Waitress closes a connection that is silent for a while, but not one that sends a byte now and then, nor a thousand of
them. Here a request must be complete within a deadline, and of too many connections those idle longest are closed.
"""

import socket
from time import monotonic
from typing import Any, cast

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, MultiSocketServer

from web.guard.origin import network

REQUEST_SECONDS = 20
MOST_OF_ONE_ADDRESS = 100
MOST = 500
# Of waitress, and not to be reached: beyond its own limit it takes no connection at all.
LIMITS: dict[str, Any] = {"connection_limit": 2 * MOST, "channel_timeout": 30, "asyncore_use_poll": True}


class Channel(HTTPChannel):
    """One connection of a browser or a program."""

    proxied = False

    def __init__(
        self, server: BaseWSGIServer, sock: socket.socket, addr: Any, adj: Adjustments, map: Any = None
    ) -> None:
        self._waits_since: float | None = monotonic()  # for a whole request; None: it had one
        super().__init__(server, sock, addr, adj, map=map)
        self.network = network(addr[0])
        _make_room(self)

    def received(self, data: bytes) -> bool:
        if self._waits_since is None:
            self._waits_since = monotonic()
        return super().received(data)

    def readable(self) -> bool:
        """Asked of each channel at least once a second."""
        if self._waits_since is not None and monotonic() - self._waits_since > REQUEST_SECONDS and not self.requests:
            self.will_close = True
        return bool(super().readable())

    def service(self) -> None:
        self._waits_since = None
        super().service()

    @property
    def idle(self) -> bool:
        """Whether nothing is lost with it but what may still be asked."""
        return not (self.requests or self.total_outbufs_len or self.will_close)


class ProxiedChannel(Channel):
    """One of a proxy in front: all are from its address, and it has to bound those of each other address itself."""

    proxied = True


def serve_through(server: BaseWSGIServer | MultiSocketServer, kind: type[Channel]) -> None:
    """Let a server, which may listen in several places, make its connections so."""
    for each in (server.map or {}).values() if isinstance(server, MultiSocketServer) else (server,):
        if isinstance(each, BaseWSGIServer):
            each.channel_class = kind


def _make_room(new: Channel) -> None:
    others = [it for it in _channels(new.server) if it is not new and not it.will_close]
    of_its_own = [] if new.proxied else [it for it in others if it.network == new.network]
    for crowd, most in ((of_its_own, MOST_OF_ONE_ADDRESS), (others, MOST)):
        if len(crowd) >= most and (idle := [it for it in crowd if it.idle]):
            min(idle, key=lambda it: it.last_activity).will_close = True


def _channels(server: BaseWSGIServer) -> list[Channel]:
    return list(cast("dict[int, Channel]", server.active_channels).values())
