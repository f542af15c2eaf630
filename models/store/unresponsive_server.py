"""Hangs up on a database server that does not answer.

Timeouts of statements are the server's own, and libpq waits for its answers without a bound. Keepalives end the wait
for a machine that is gone. But a server that stands still, or a proxy before one that is gone, goes on confirming them.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from psycopg2 import InterfaceError

import config
from clock import boottime

_LEAST_SECONDS = 300.0
_LOOK_SECONDS = 10.0


class Connection(Protocol):
    def fileno(self) -> int: ...


_waits: dict[Connection, float] = {}  # connection -> since when its answer is waited for, by boottime()


@contextmanager
def waiting(connection: Connection) -> Iterator[None]:
    _waits[connection] = boottime()
    try:
        yield
    finally:
        del _waits[connection]


def watch() -> None:
    """Hang up on silent servers from now on, in a thread of this process. Whoever waits gets an error of the driver."""
    threading.Thread(target=_watch, name="silence", daemon=True).start()


def _watch() -> None:
    while True:
        threading.Event().wait(_LOOK_SECONDS)
        hang_up_on_silent(longest_wait())


def longest_wait() -> float:
    """How long to wait for the server, in seconds: longer than a worker's or timekeeper's own timeouts allow."""
    return max(_LEAST_SECONDS, 2 * config.settings().database.statement_timeout_seconds)


def hang_up_on_silent(seconds: float) -> None:
    """Hang up on servers that have been waited for longer than this."""
    for connection, since in _waits.copy().items():
        if boottime() - since > seconds:
            _hang_up_if_waiting(connection, since)


def _hang_up_if_waiting(connection: Connection, since: float) -> None:
    # Either of them: it was closed meanwhile.
    with suppress(OSError, InterfaceError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        # Asked after the descriptor was copied: if the wait had ended, another connection might have it now.
        if _waits.get(connection) == since:
            hang_up(line)


def hang_up(line: socket.socket) -> None:
    with suppress(OSError):  # the other side may have done it already
        line.shutdown(socket.SHUT_RDWR)
