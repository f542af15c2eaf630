"""Opens a connection to a mail server: its addresses tried side by side (RFC 8305), and TLS where it is due.

What goes wrong is told as an OSError with its reason. Written on the blocking sockets that smtplib and imaplib
want: asyncio has the same race, but needs an event loop in each thread and reads from the connection that it makes.
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
_SILENCE_SECONDS = 5.0  # before a server that does not greet is asked whether it waits for TLS

_TLS_RECORDS = (b"\x15", b"\x16")  # an alert, a handshake: RFC 8446 section 5.1
# X509_V_ERR_… of OpenSSL
_NOT_YET_VALID, _EXPIRED = 9, 10
_FOR_ANOTHER_NAME = (62, 64)


class _Address(NamedTuple):
    family: int
    sockaddr: Any


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """A connection to the first address that takes one, within so many seconds, which is also its timeout."""
    until = clock.boottime() + seconds
    addresses = _look_up(host, port, min(seconds, _LOOK_UP_SECONDS))
    connection = _race(addresses, until, host, port)
    connection.settimeout(seconds)
    # The final dot is a small write after the body, and must not wait until the body is acknowledged.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _look_up(host: str, port: int, seconds: float) -> list[_Address]:
    """A host's addresses, each family in turn. In a thread, because nothing interrupts the system's resolver."""
    answer: SimpleQueue[list[Any] | OSError | ValueError] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:  # a ValueError: what no host can be called
            answer.put(error)

    threading.Thread(target=ask, name=f"look-up of {host}", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except Empty:
        raise TimeoutError(Reason(Code.NO_NAME_SERVER, host=host, seconds=f"{seconds:g}")) from None
    if isinstance(found, Exception):
        error = str(getattr(found, "strerror", None) or found)
        raise OSError(Reason(Code.NO_ADDRESS, host=host, error=error))
    families: dict[int, list[_Address]] = {}
    for family, _, _, _, sockaddr in found:
        families.setdefault(family, []).append(_Address(family, sockaddr))
    in_turn = chain.from_iterable(zip_longest(*families.values()))
    return [address for address in in_turn if address is not None][:_MOST_ADDRESSES]


def _race(addresses: list[_Address], until: float, host: str, port: int) -> socket.socket:
    """Begin with the next address when one fails or takes its time; the first that connects wins, the others end."""
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
    except OSError as error:  # a family that this machine does not speak
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
    """TLS where the port begins with it. Where a port and its security do not match, that is told within seconds."""
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
    """No encrypted connection came about, and not for the server's certificate."""


@contextmanager
def in_plain_words(host: str) -> Iterator[None]:
    """Says what is wrong with a server's TLS, and what to do about it."""
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
    """Whether the server says something, or hangs up."""
    with selectors.DefaultSelector() as watched:
        watched.register(connection, selectors.EVENT_READ)
        return bool(watched.select(seconds))


def _first_byte(server: tuple[str, int], seconds: float, said: bytes) -> bytes:
    """What the server begins with on another connection, after what is said to it. Nothing: b"\\xff"."""
    with suppress(OSError), connect(*server, seconds) as probe:
        probe.sendall(said)
        return probe.recv(1) or b"\xff"
    return b"\xff"


def _hello(context: ssl.SSLContext) -> bytes:
    """What a client says first where TLS is spoken."""
    written = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), written, server_hostname="localhost").do_handshake()
    return written.read()
