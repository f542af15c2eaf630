"""Limits connections to the pages, so that no client can lock the others out.

Waitress closes connections that are silent for a while, but not those that send a byte now and then, nor does it limit
their number. Here a request must be complete by a deadline, and of too many connections the longest idle are closed.
"""

import socket
from time import monotonic
from typing import Any, cast

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer, MultiSocketServer
from waitress.utilities import RequestEntityTooLarge

from web.guard import sizes
from web.guard.origin import network

REQUEST_SECONDS = 20
UPLOAD_SECONDS = 120  # for a request with a file
MOST_UPLOADS = 8  # at once: each may fill a temporary file before anybody knows whose it is
MOST_OF_ONE_ADDRESS = 100
MOST = 500
# Waitress's own limits, which should never be reached: beyond them it accepts no connection at all.
LIMITS: dict[str, Any] = {"connection_limit": 2 * MOST, "channel_timeout": 30, "asyncore_use_poll": True}


class Parser(HTTPRequestParser):
    """A request, whose size depends on what it is for. Browsers say how long a form is before they send it."""

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.headers_finished and self.error is None and not self.empty:
            told = vars(self)  # whose stubs lack the path, and take the command for bytes
            most = sizes.MOST_BYTES if self.chunked else sizes.most_bytes(told["command"], told["path"])
            if max(self.content_length, self.body_bytes_received) > most:
                self.error = RequestEntityTooLarge(f"exceeds max_body of {most}")
                self.completed = True
        return consumed

    @property
    def is_large(self) -> bool:
        return bool(self.content_length > sizes.MOST_BYTES)


class Channel(HTTPChannel):
    """A client's connection."""

    parser_class = Parser
    proxied = False

    def __init__(
        self, server: BaseWSGIServer, sock: socket.socket, addr: Any, adj: Adjustments, map: Any = None
    ) -> None:
        self._waits_since: float | None = monotonic()  # for a complete request; None: it got one
        super().__init__(server, sock, addr, adj, map=map)
        self.network = network(addr[0])
        _make_room(self)

    def received(self, data: bytes) -> bool:
        if self._waits_since is None:
            self._waits_since = monotonic()
        is_received = super().received(data)
        if self.is_uploading and sum(it.is_uploading for it in _channels(self.server)) > MOST_UPLOADS:
            self.will_close = True
        return is_received

    @property
    def is_uploading(self) -> bool:
        """Whether a large request is on its way."""
        request = self.request  # once: a thread that answers may take it meanwhile
        return isinstance(request, Parser) and request.is_large

    def readable(self) -> bool:
        """Called for each channel at least once a second."""
        seconds = UPLOAD_SECONDS if self.is_uploading else REQUEST_SECONDS
        since = self._waits_since  # once, too
        if since is not None and monotonic() - since > seconds and not self.requests:
            self.will_close = True
        return bool(super().readable())

    def service(self) -> None:
        self._waits_since = None
        super().service()

    @property
    def idle(self) -> bool:
        """Whether it can be closed without interrupting a request."""
        return not (self.requests or self.total_outbufs_len or self.will_close)


class ProxiedChannel(Channel):
    """A connection from our proxy: all have its address, so the proxy must limit clients itself."""

    proxied = True


def serve_through(server: BaseWSGIServer | MultiSocketServer, kind: type[Channel]) -> None:
    """Make a server, which may listen on several sockets, use this channel class."""
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
