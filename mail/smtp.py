"""One conversation with a mail server, over the standard library's smtplib, with the final dot written on its own.

Before the dot every failure proves that nothing was sent; after it only an answer proves anything. Between the two the
caller is asked to record the hand-over. Timeouts are per command, as RFC 5321 section 4.5.3.2 asks.
"""

import re
import select
import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import clock
from mail.address import domain
from mail.outcome import (
    Accepted,
    Deferred,
    Outcome,
    Phase,
    Refused,
    Reply,
    Scope,
    Unanswered,
    Withdrawn,
    judge,
    no_reply,
    reply,
)

_LONGEST_REPLY_LINES = 100
_QUIT_SECONDS = 5.0
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    security: str  # "starttls", "tls" or "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Timeouts:
    command_seconds: float  # for each answer before the dot
    conversation_seconds: float  # for everything before the hand-over
    answer_seconds: float  # for the answer to the dot (RFC 5321 section 4.5.3.2.6: ten minutes)
    dot_after_hand_over_seconds: float  # the dot is written this soon after the hand-over, or not at all


def send(
    server: Server,
    sender: str,
    recipient: str,
    content: bytes,
    timeouts: Timeouts,
    hand_over: Callable[[], bool],
    context: ssl.SSLContext | None = None,
) -> Outcome:
    """Send one message (as mail.message builds it) to one recipient, both addresses in their ASCII form.

    hand_over: called when all but the dot is written; only if it returns True is the dot written. What it raises is
    raised here, after the connection was dropped.
    """
    if not recipient.isascii():
        return Refused(Scope.LEAD, Phase.RCPT, no_reply("the address has no ASCII form"))
    conversation = _Conversation(server, timeouts, context or ssl.create_default_context())
    try:
        if stopped := conversation.up_to_the_dot(sender, recipient, content):
            return stopped
        return conversation.dot(hand_over)
    finally:
        conversation.close()


class _Conversation:
    def __init__(self, server: Server, timeouts: Timeouts, context: ssl.SSLContext) -> None:
        self.server, self.timeouts, self.context = server, timeouts, context
        self.phase = Phase.CONNECT
        self.connection: _Connection | None = None

    def up_to_the_dot(self, sender: str, recipient: str, content: bytes) -> Outcome | None:
        """All that comes before the dot. None: everything is written, and only the dot is missing."""
        try:
            self._connect(sender)
            self._authenticate()
            self._envelope(sender, recipient)
            self._body(content)
        except smtplib.SMTPResponseException as error:
            return judge(self.phase, _reply(error.smtp_code, error.smtp_error))
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            return judge(self.phase, no_reply(str(error) or type(error).__name__))
        return self._out_of_turn()

    def dot(self, hand_over: Callable[[], bool]) -> Outcome:
        connection = self._open()
        began = clock.boottime()
        if not hand_over():
            return Withdrawn()
        if clock.boottime() - began > self.timeouts.dot_after_hand_over_seconds:
            return Deferred(Scope.WORKER, Phase.DOT, no_reply("too long between the hand-over and its dot"))
        if spoke := self._out_of_turn():
            return spoke
        self.phase = Phase.DOT
        try:
            outcome = judge(Phase.DOT, _reply(*connection.write_dot(self.timeouts.answer_seconds)))
        except (smtplib.SMTPException, OSError) as error:
            return Unanswered(f"no answer to the final dot: {error}")
        if isinstance(outcome, Accepted):
            connection.quit_quietly()
        return outcome

    def close(self) -> None:
        """Inside DATA a QUIT would be text of the message: the connection is only dropped."""
        if self.connection is not None:
            if self.phase in (Phase.AUTH, Phase.MAIL, Phase.RCPT):
                self.connection.quit_quietly()
            self.connection.close()

    def _connect(self, sender: str) -> None:
        self.connection = connection = _Connection(self.server, self.timeouts, self.context, domain(sender))
        connection.greet()
        connection.ehlo_or_helo_if_needed()
        if self.server.security == "starttls":
            self.phase = Phase.TLS
            connection.starttls(context=self.context)
            connection.ehlo_or_helo_if_needed()

    def _authenticate(self) -> None:
        self.phase = Phase.AUTH
        if self.server.username is None:
            return
        password = self.server.password or ""
        if self.server.security == "none" and not _is_loopback(self.server.host):
            raise smtplib.SMTPException("a password is never sent over an unencrypted connection")
        if not (self.server.username + password).isascii():
            raise smtplib.SMTPException("the user name or password has letters that SMTP cannot carry")
        self._open().login(self.server.username, password)

    def _envelope(self, sender: str, recipient: str) -> None:
        connection = self._open()
        self.phase = Phase.MAIL
        _expect(2, connection.mail(sender))
        self.phase = Phase.RCPT
        _expect(2, connection.rcpt(recipient))
        self.phase = Phase.DATA
        _expect(3, connection.docmd("DATA"))

    def _body(self, content: bytes) -> None:
        self.phase = Phase.BODY
        lines = _LINE_END.sub(b"\r\n", content)
        whole = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
        self._open().write(_LEADING_DOT.sub(b"..", whole))

    def _out_of_turn(self) -> Outcome | None:
        """What the server says before the dot is no answer to it, whatever it says."""
        connection = self._open()
        try:
            if not connection.has_something_to_say():
                return None
            return judge(Phase.BODY, _reply(*connection.getreply()))
        except (smtplib.SMTPException, OSError) as error:
            return judge(Phase.BODY, no_reply(str(error)))

    def _open(self) -> "_Connection":
        assert self.connection is not None
        return self.connection


class _Connection(smtplib.SMTP):
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
        _expect(2, self._greeting)

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
        while b"\n" not in self._buffer and len(self._buffer) < limit:
            if not (more := self._receive()):
                break
            self._buffer += more
        end = min((self._buffer.find(b"\n") + 1) or len(self._buffer), limit)
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line

    def _receive(self) -> bytes:
        left = self._until - clock.boottime()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._sock.recv(4096)

    def is_pending(self) -> bool:
        if self._buffer or (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
            return True
        return bool(select.select([self._sock], [], [], 0)[0])

    def close(self) -> None:
        self._buffer = b""


def _expect(kind: int, answer: tuple[int, bytes]) -> None:
    code, words = answer
    if code // 100 != kind:
        raise smtplib.SMTPResponseException(code, words)


def _reply(code: int, words: bytes | str) -> Reply:
    return reply(code, words.decode("utf-8", "replace") if isinstance(words, bytes) else words)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
