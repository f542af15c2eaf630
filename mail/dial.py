"""Connects to a mail server: tries its addresses in parallel (RFC 8305), with TLS where configured.

Errors are an OSError with a reason. Uses blocking sockets, as smtplib and imaplib do: asyncio has the same algorithm,
but needs an event loop in each thread and reads from its connections.
"""

import os
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, zip_longest
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import clock
from reasons import Code, Reason

_NEXT_ATTEMPT_SECONDS = 0.25  # RFC 8305 section 8
_MOST_ADDRESSES = 20
_LOOK_UP_SECONDS = 15.0
_SILENCE_SECONDS = 5.0  # without a greeting, before we test whether the server expects TLS

_TLS_RECORDS = (b"\x15", b"\x16")  # alert, handshake: RFC 8446 section 5.1
# X509_V_ERR_… of OpenSSL
_NOT_YET_VALID, _EXPIRED = 9, 10
_FOR_ANOTHER_NAME = (62, 64)


class _Address(NamedTuple):
    family: int
    sockaddr: Any


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first address that accepts. seconds: in which to do so, and the socket's timeout afterwards."""
    until = clock.boottime() + seconds
    addresses = _look_up(host, port, min(seconds, _LOOK_UP_SECONDS))
    connection = _race(addresses, until, host, port)
    connection.settimeout(seconds)
    # The final dot is a small write after the body and must not wait for the body's ACK (Nagle's algorithm).
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _look_up(host: str, port: int, seconds: float) -> list[_Address]:
    """A host's addresses, families alternating."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, ValueError):  # it is a name, or not even a possible one
        found = _ask(host, port, seconds)
    families: dict[int, list[_Address]] = {}
    for family, _, _, _, sockaddr in found:
        families.setdefault(family, []).append(_Address(family, sockaddr))
    in_turn = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in in_turn if address is not None][:_MOST_ADDRESSES]


def _ask(host: str, port: int, seconds: float) -> list[Any]:
    """What name servers say. In a thread, because the system's resolver cannot be interrupted."""
    answer: SimpleQueue[list[Any] | OSError | ValueError] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:  # ValueError: not a possible host name
            answer.put(error)

    threading.Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(Reason(Code.NO_NAME_SERVER, host=host, seconds=f"{seconds:g}")) from None
    if isinstance(found, Exception):
        error = str(getattr(found, "strerror", None) or found)
        raise OSError(Reason(Code.NO_ADDRESS, host=host, error=error))
    return found


def _race(addresses: list[_Address], until: float, host: str, port: int) -> socket.socket:
    """Start the next address when one fails or is slow; the first to connect wins and the others are closed."""
    waiting, failures = deque(addresses), dict.fromkeys((it.sockaddr[0] for it in addresses), "no answer")
    next_at = clock.boottime()
    with selectors.DefaultSelector() as running:
        try:
            while (waiting or running.get_map()) and (now := clock.boottime()) < until:
                if waiting and (now >= next_at or not running.get_map()):
                    next_at = now + _NEXT_ATTEMPT_SECONDS
                    _begin(waiting.popleft(), running, failures)
                    continue
                for key, _ in running.select(min(next_at, until) - now if waiting else until - now):
                    attempt = running.unregister(key.fileobj).fileobj
                    assert isinstance(attempt, socket.socket)
                    if not (error := attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                        return attempt
                    attempt.close()
                    failures[key.data], next_at = os.strerror(error), now
        finally:
            for key in list(running.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()
    tried = "; ".join(f"{address}: {why}" for address, why in failures.items())
    raise OSError(Reason(Code.NO_CONNECTION, host=host, port=port, tried=tried))


def _begin(address: _Address, running: selectors.BaseSelector, failures: dict[str, str]) -> None:
    name = address.sockaddr[0]
    try:
        attempt = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:  # an address family that this machine does not support
        failures[name] = str(error.strerror)
        return
    attempt.setblocking(False)
    try:
        attempt.connect(address.sockaddr)
    except BlockingIOError:
        pass
    except OSError as error:
        failures[name] = str(error.strerror)
        attempt.close()
        return
    running.register(attempt, selectors.EVENT_WRITE, name)


def secure(
    plain: socket.socket, server: tuple[str, int], security: str, context: ssl.SSLContext, seconds: float
) -> socket.socket:
    """Start TLS if the port uses implicit TLS. Detects within seconds that port and security do not match."""
    host, patience = server[0], min(_SILENCE_SECONDS, seconds / 4)
    plain.settimeout(seconds)
    if security != "tls":
        if not _speaks(plain, patience) and _first_byte(server, patience, _hello(context)) in _TLS_RECORDS:
            plain.close()
            raise OSError(Reason(Code.TLS_FIRST))
        return plain
    try:
        with in_plain_words(host):
            return context.wrap_socket(plain, server_hostname=host)
    except TlsFailed as failure:
        if _first_byte(server, patience, b"").isascii():
            raise OSError(Reason(Code.PLAIN_FIRST)) from None
        raise failure from None


class TlsFailed(OSError):
    """The TLS handshake failed for another reason than the certificate."""


@contextmanager
def in_plain_words(host: str) -> Iterator[None]:
    """Translate TLS errors: what is wrong with the server, and what to do about it."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise OSError(_why_untrusted(host, error)) from None
    except TimeoutError:
        raise TimeoutError(Reason(Code.TLS_TIMED_OUT)) from None
    except (ssl.SSLEOFError, ConnectionError):
        raise TlsFailed(Reason(Code.TLS_HUNG_UP)) from None
    except ssl.SSLError as error:
        words = (error.reason or str(error)).replace("_", " ").lower()
        raise TlsFailed(Reason(Code.TLS_FAILED, error=words)) from None


def _why_untrusted(host: str, error: ssl.SSLCertVerificationError) -> Reason:
    match error.verify_code:
        case code if code == _EXPIRED:
            return Reason(Code.CERTIFICATE_EXPIRED, host=host)
        case code if code == _NOT_YET_VALID:
            return Reason(Code.CERTIFICATE_NOT_YET_VALID, host=host)
        case code if code in _FOR_ANOTHER_NAME:
            return Reason(Code.CERTIFICATE_OF_ANOTHER, host=host)
    return Reason(Code.CERTIFICATE_UNTRUSTED, host=host, error=error.verify_message)


def _speaks(connection: socket.socket, seconds: float) -> bool:
    """Whether the server sends something or hangs up in time."""
    with selectors.DefaultSelector() as watched:
        watched.register(connection, selectors.EVENT_READ)
        return bool(watched.select(seconds))


def _first_byte(server: tuple[str, int], seconds: float, said: bytes) -> bytes:
    """The server's first byte on another connection, after `said` is sent. None came: b"\\xff"."""
    with suppress(OSError), connect(*server, seconds) as probe:
        probe.sendall(said)
        return probe.recv(1) or b"\xff"
    return b"\xff"


def _hello(context: ssl.SSLContext) -> bytes:
    """A TLS ClientHello."""
    written = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), written, server_hostname="localhost").do_handshake()
    return written.read()
