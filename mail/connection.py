"""An SMTP connection: smtplib's, with deadlines for a whole reply and for the whole conversation.

It has its own login, because smtplib tries a refused password again with each mechanism, and only supports ASCII.
"""

import base64
import hmac
import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import clock
import config
from mail import dial, login
from mail.login import Server as Server
from mail.login import to_base64
from reasons import Code, Reason

_LONGEST_REPLY_LINES = 100
_LONGEST_REPLY_LINE = 4096  # bytes; the RFC's limit is 512 (RFC 5321 section 4.5.3.1.5)
_QUIT_SECONDS = 5.0
_LONGEST_COMMAND = 512  # bytes with CRLF (RFC 5321 section 4.5.3.1.4)
# (host, port, mechanism) at which a server hung up: this process tries such a mechanism last from then on.
_HANG_UPS: set[tuple[str, int, str]] = set()


class HungUp(smtplib.SMTPServerDisconnected):
    """The server hung up during a login mechanism without an answer."""

    def __init__(self, mechanism: str, there_are_others: bool) -> None:
        super().__init__(Reason(Code.LOGIN_HUNG_UP, mechanism=mechanism))
        self.mechanism, self.there_are_others = mechanism, there_are_others


@dataclass(frozen=True)
class Timeouts:
    command_seconds: float  # for each reply before the dot
    conversation_seconds: float  # for all steps before the hand-over
    answer_seconds: float  # for the reply to the dot (RFC 5321 section 4.5.3.2.6: ten minutes)
    dot_after_hand_over_seconds: float  # the dot is written within this time after the hand-over, or not at all

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
    """smtplib's connection with a deadline for each whole reply, however slowly the server sends it."""

    def __init__(self, server: Server, timeouts: Timeouts, context: ssl.SSLContext, name: str, until: float) -> None:
        """until: the end of the conversation, by clock.boottime()."""
        self._server, self._timeouts, self._context, self._until = server, timeouts, context, until
        self._greeting: tuple[int, bytes] | None = None
        super().__init__(server.host, server.port, local_hostname=name, timeout=timeouts.command_seconds)

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        self._greeting = super().connect(host, port)
        # Reports success; greet() checks the greeting, because the constructor would lose the server's words.
        return 220, b""

    def greet(self) -> None:
        assert self._greeting is not None
        expect(2, self._greeting)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = dial.connect(host, port, self._seconds_left())
        return dial.secure(plain, (host, port), self._server.security, self._context, self._seconds_left())

    def encrypt(self) -> None:
        """STARTTLS, then EHLO again (RFC 3207 section 4.2)."""
        if not self.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError(Reason(Code.NO_STARTTLS))
        with dial.in_plain_words(self._server.host):
            self.starttls(context=self._context)
        self.ehlo_or_helo_if_needed()

    def log_in(self, without: str | None = None) -> None:
        """Log in with one mechanism; a refusal is final. without: the mechanism at which the server just hung up."""
        left = [name for name in self._mechanisms() if name != without]
        for name in left:
            try:
                code, words = self._authenticate(name)
            except smtplib.SMTPServerDisconnected as error:
                if not isinstance(error.__context__, ConnectionError | ssl.SSLError | None):
                    raise  # a timeout, or an endless reply
                _HANG_UPS.add((self._server.host, self._server.port, name))
                raise HungUp(name, name != left[-1]) from None
            if code == 235:
                return
            if _is_about_the_password(code, words) or name == left[-1]:
                raise smtplib.SMTPAuthenticationError(code, words)
        offered = self.esmtp_features.get("auth", "").strip()
        unknown = Code.NO_KNOWN_LOGIN if self._server.token is None else Code.NO_OAUTH_LOGIN
        raise smtplib.SMTPNotSupportedError(Reason(unknown, offered=offered) if offered else Reason(Code.NO_LOGIN))

    def _mechanisms(self) -> list[str]:
        """The server's mechanisms, best first. The oldest is last: many servers offer it but do not support it."""
        offered = self.esmtp_features.get("auth", "").upper().split()
        ours = ("PLAIN", "LOGIN", "CRAM-MD5") if self._server.token is None else login.OAUTH_MECHANISMS
        known = [name for name in ours if name in offered]
        return sorted(known, key=lambda name: (self._server.host, self._server.port, name) in _HANG_UPS)

    def _authenticate(self, mechanism: str) -> tuple[int, bytes]:
        """Send the login in UTF-8 and return the reply (RFC 4616, RFC 4954, RFC 2195)."""
        username, password = self._server.username or "", self._server.password or ""
        match mechanism:
            case "PLAIN":
                plain = to_base64(f"\0{username}\0{password}")
                code, words = self.docmd("AUTH", f"PLAIN {plain}")
                return self.docmd(plain) if code == 334 else (code, words)
            case "LOGIN":
                code, words = self.docmd("AUTH", "LOGIN")
                for answer in (username, password):
                    code, words = self.docmd(to_base64(answer)) if code == 334 else (code, words)
                return code, words
            case "XOAUTH2" | "OAUTHBEARER":
                return self._authenticate_by_token(mechanism)
        code, words = self.docmd("AUTH", mechanism)
        if code != 334:
            return code, words
        try:
            challenge = base64.b64decode(words)
        except ValueError:
            raise smtplib.SMTPException(Reason(Code.CRAM_MD5_UNCLEAR)) from None
        digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
        return self.docmd(to_base64(f"{username} {digest}"))

    def _authenticate_by_token(self, mechanism: str) -> tuple[int, bytes]:
        """An error comes as a challenge, and the refusal only after an answer to it (RFC 7628 section 3.2.3)."""
        response = to_base64(login.oauth_response(mechanism, self._server))
        # A longer response must not stand in the command (RFC 4954 section 4).
        is_short = len(f"AUTH {mechanism} {response}\r\n") <= _LONGEST_COMMAND
        code, words = self.docmd("AUTH", f"{mechanism} {response}" if is_short else mechanism)
        if code == 334 and not (is_short and words.strip()):  # an empty challenge asks for the response
            code, words = self.docmd(response)
        if code != 334:
            return code, words
        status = login.error_status(words)
        code, words = self.docmd(to_base64(login.AFTER_ERROR[mechanism]))
        return code, words + f" (status {status})".encode() if status and code != 235 else words

    def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        """MAIL. Without smtplib's search for the address in a name: ours are bare ones (see address.on_the_wire)."""
        return self.docmd("MAIL", " ".join((f"FROM:<{sender}>", *options)))

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        return self.docmd("RCPT", " ".join((f"TO:<{recip}>", *options)))

    def getreply(self, seconds: float | None = None) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _Replies(self._socket())
        self.file.expect_within(self._seconds_left() if seconds is None else seconds)
        code, words = super().getreply()
        if code < 0:  # smtplib's code for a reply that does not begin with a number
            raise smtplib.SMTPException(Reason(Code.NO_SMTP))
        return code, words

    def send(self, s: object) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._seconds_left())
        super().send(s)  # type: ignore[arg-type]

    def write(self, content: bytes) -> None:
        self.send(content)

    def write_dot(self, answer_seconds: float) -> tuple[int, bytes]:
        self._socket().settimeout(answer_seconds)
        self._socket().sendall(b".\r\n")
        answer = self.getreply(answer_seconds)
        # Taken for a refusal, an answer that also says yes would have the letter sent twice.
        if not (isinstance(self.file, _Replies) and self.file.has_one_code()):
            raise smtplib.SMTPException(Reason(Code.NO_SMTP))
        return answer

    def _socket(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected(Reason(Code.NOT_CONNECTED))
        return self.sock

    def has_something_to_say(self) -> bool:
        return isinstance(self.file, _Replies) and self.file.is_pending()

    def quit_quietly(self) -> None:
        """Send QUIT and ignore any error: the outcome is already known."""
        self._until = clock.boottime() + _QUIT_SECONDS
        with suppress(smtplib.SMTPException, OSError):
            self.quit()

    def _seconds_left(self) -> float:
        left = min(self._timeouts.command_seconds, self._until - clock.boottime())
        if left <= 0:
            raise TimeoutError(Reason(Code.TOOK_TOO_LONG))
        return left


class _Replies:
    """smtplib's input file: buffers the socket, with one deadline for each whole reply."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = b""
        self._until = 0.0
        self._lines_left = 0
        self._begin: set[bytes] = set()  # what the lines of the last reply begin with

    def expect_within(self, seconds: float) -> None:
        self._until = clock.boottime() + seconds
        self._lines_left = _LONGEST_REPLY_LINES
        self._begin = set()

    def readline(self, limit: int) -> bytes:
        self._lines_left -= 1
        if self._lines_left < 0:
            raise OSError(Reason(Code.ENDLESS_REPLY))
        while b"\n" not in self._buffer and len(self._buffer) <= _LONGEST_REPLY_LINE:
            if not (more := self._receive()):
                break
            self._buffer += more
        end = (self._buffer.find(b"\n") + 1) or len(self._buffer)
        if end > _LONGEST_REPLY_LINE:
            # Raised here: smtplib would turn it into a 500, which looks like the server's refusal of the lead.
            raise OSError(Reason(Code.ENDLESS_LINE))
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        self._begin.add(line[:4])
        return line

    def has_one_code(self) -> bool:
        """Whether each line of the last reply begins with the same code, of three digits (RFC 5321 section 4.2.1)."""
        return len({it[:3] for it in self._begin}) == 1 and all(it[3:4] in b" -\t\r\n" for it in self._begin)

    def _receive(self) -> bytes:
        left = self._until - clock.boottime()
        if left <= 0:
            raise TimeoutError(Reason(Code.TIMED_OUT))
        self._sock.settimeout(left)
        return self._sock.recv(4096)

    def is_pending(self) -> bool:
        """Whether the server sent something or hung up. Needs a read: under TLS not every record carries text."""
        if not self._buffer:
            self._sock.settimeout(0)
            try:
                self._buffer = self._sock.recv(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
        return True

    def close(self) -> None:
        self._buffer = b""


def _is_about_the_password(code: int, words: bytes) -> bool:
    """Whether a refusal is about the password, not the mechanism or its form (RFC 4954 section 4)."""
    return code != 504 and (code not in (500, 501, 502) or words.startswith(b"5.7."))


def expect(kind: int, answer: tuple[int, bytes]) -> None:
    code, words = answer
    if code // 100 != kind:
        raise smtplib.SMTPResponseException(code, words)
