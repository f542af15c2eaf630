"""A connection to a mail server: smtplib's, with deadlines for a whole reply and for the whole conversation."""

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import clock
import config

_LONGEST_REPLY_LINES = 100
_LONGEST_REPLY_LINE = 4096  # bytes; RFC 5321 section 4.5.3.1.5 knows 512
_QUIT_SECONDS = 5.0


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    security: str  # "starttls", "tls" or "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def why_no_login(server: Server) -> str | None:
    """Why this server must not be told the password, or cannot be. None: it may."""
    if server.security == "none" and not config.is_loopback(server.host):
        return "a password is never sent over an unencrypted connection"
    if not f"{server.username}{server.password}".isascii():
        return "the user name or password has letters that cannot be carried"
    return None


@dataclass(frozen=True)
class Timeouts:
    command_seconds: float  # for each answer before the dot
    conversation_seconds: float  # for everything before the hand-over
    answer_seconds: float  # for the answer to the dot (RFC 5321 section 4.5.3.2.6: ten minutes)
    dot_after_hand_over_seconds: float  # the dot is written this soon after the hand-over, or not at all

    @classmethod
    def configured(cls) -> Self:
        limits = config.settings().smtp
        return cls(
            command_seconds=limits.command_timeout_seconds,
            conversation_seconds=limits.conversation_timeout_seconds,
            answer_seconds=limits.answer_timeout_seconds,
            dot_after_hand_over_seconds=limits.hand_over_to_dot_seconds,
        )


class Connection(smtplib.SMTP):
    """smtplib's, with deadlines that hold for a whole reply, however slowly the server sends it."""

    def __init__(self, server: Server, timeouts: Timeouts, context: ssl.SSLContext, name: str) -> None:
        self._server, self._timeouts, self._context = server, timeouts, context
        self._until = clock.boottime() + timeouts.conversation_seconds
        self._greeting: tuple[int, bytes] | None = None
        super().__init__(server.host, server.port, local_hostname=name, timeout=timeouts.command_seconds)

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        self._greeting = super().connect(host, port)
        # Reported as success here, and judged in greet(): the constructor would lose the connection and its words.
        return 220, b""

    def greet(self) -> None:
        assert self._greeting is not None
        expect(2, self._greeting)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        if self._server.security != "tls":
            return plain  # type: ignore[no-any-return]
        return self._context.wrap_socket(plain, server_hostname=host)

    def getreply(self, seconds: float | None = None) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _Replies(self._socket())
        self.file.expect_within(self._seconds_left() if seconds is None else seconds)
        return super().getreply()

    def send(self, s: object) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._seconds_left())
        super().send(s)  # type: ignore[arg-type]

    def write(self, content: bytes) -> None:
        self.send(content)

    def write_dot(self, answer_seconds: float) -> tuple[int, bytes]:
        self._socket().settimeout(answer_seconds)
        self._socket().sendall(b".\r\n")
        return self.getreply(answer_seconds)

    def _socket(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        return self.sock

    def has_something_to_say(self) -> bool:
        return isinstance(self.file, _Replies) and self.file.is_pending()

    def quit_quietly(self) -> None:
        """Good manners only: whatever happens now changes nothing."""
        self._until = clock.boottime() + _QUIT_SECONDS
        with suppress(smtplib.SMTPException, OSError):
            self.quit()

    def _seconds_left(self) -> float:
        left = min(self._timeouts.command_seconds, self._until - clock.boottime())
        if left <= 0:
            raise TimeoutError("the conversation took too long")
        return left


class _Replies:
    """What smtplib reads replies from: a buffer before the socket with one deadline for each whole reply."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._until = 0.0
        self._lines_left = 0

    def expect_within(self, seconds: float) -> None:
        self._until = clock.boottime() + seconds
        self._lines_left = _LONGEST_REPLY_LINES

    def readline(self, limit: int) -> bytes:
        self._lines_left -= 1
        if self._lines_left < 0:
            raise OSError("the reply does not end")
        while b"\n" not in self._buffer and len(self._buffer) <= _LONGEST_REPLY_LINE:
            if not (more := self._receive()):
                break
            self._buffer += more
        end = (self._buffer.find(b"\n") + 1) or len(self._buffer)
        if end > _LONGEST_REPLY_LINE:
            # Judged here: smtplib would make it a 500 that reads like the server's verdict on the lead.
            raise OSError("the reply has a line that does not end")
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line

    def _receive(self) -> bytes:
        left = self._until - clock.boottime()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._sock.recv(4096)

    def is_pending(self) -> bool:
        """Whether the server has said something, or hung up. Asked by reading: under TLS not all that comes is text."""
        if not self._buffer:
            self._sock.settimeout(0)
            try:
                self._buffer = self._sock.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
        return True

    def close(self) -> None:
        self._buffer = b""


def expect(kind: int, answer: tuple[int, bytes]) -> None:
    code, words = answer
    if code // 100 != kind:
        raise smtplib.SMTPResponseException(code, words)
