"""One SMTP conversation, using the standard library's smtplib, with the final dot written separately.

Before the dot, every failure proves that nothing was sent; after it, only an answer proves anything. In between the
caller records the hand-over. Timeouts are per command, as RFC 5321 section 4.5.3.2 requires.
"""

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial

import clock
from mail.address import domain
from mail.connection import Connection, HungUp, Timeouts, expect
from mail.login import Server, explained, why_no_login, without_password
from mail.outcome import (
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
from reasons import Code, Reason, Why, why

_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@contextmanager
def conversation(
    server: Server,
    sender: str,
    recipient: str,
    content: bytes,
    timeouts: Timeouts,
    hand_over: Callable[[], Why | None],
    context: ssl.SSLContext | None = None,
) -> Iterator[Outcome]:
    """Send one message (as mail.message builds it) to one recipient, both addresses in their ASCII form.

    Yields the outcome while the connection is still open: the caller records it before QUIT, which may be slow.
    hand_over: called when everything but the dot is written; returns why the dot must not be written, or None to write
    it. Its exceptions are raised here, and the connection is dropped.
    """
    if not recipient.isascii():
        yield Refused(Scope.LEAD, Phase.RCPT, no_reply(Reason(Code.NO_ASCII_FORM)))
        return
    conversation = _Conversation(server, timeouts, context or _trusted())
    try:
        outcome = conversation.up_to_the_dot(sender, recipient, content) or conversation.dot(hand_over)
        yield replace(outcome, seconds=conversation.seconds)
    finally:
        conversation.close()


def log_in(server: Server, sender: str, timeouts: Timeouts, context: ssl.SSLContext | None = None) -> Outcome | None:
    """Connect, encrypt, log in and quit, as before an e-mail from `sender`. None: it works."""
    conversation = _Conversation(server, timeouts, context or _trusted())
    try:
        return conversation.log_in(sender)
    finally:
        conversation.close()


@cache
def _trusted() -> ssl.SSLContext:
    """The trusted certificates, loaded once: that takes as long as half a conversation."""
    return ssl.create_default_context()


class _TooLarge(Exception):
    """The server announced a smaller size limit (RFC 1870)."""


class _Conversation:
    def __init__(self, server: Server, timeouts: Timeouts, context: ssl.SSLContext) -> None:
        self.server, self.timeouts, self.context = server, timeouts, context
        self.until = clock.boottime() + timeouts.conversation_seconds
        self.phase = Phase.CONNECT
        self.sender = self.recipient = ""  # set once they are sent to the server
        self.seconds: dict[Phase, float] = {}
        self.connection: Connection | None = None

    def log_in(self, sender: str) -> Outcome | None:
        return self._stopped_at(partial(self._connect, sender), partial(self._authenticate, sender))

    def up_to_the_dot(self, sender: str, recipient: str, content: bytes) -> Outcome | None:
        """Everything before the dot. None: only the dot is missing."""
        content = _on_the_wire(content)
        steps = (
            partial(self._connect, sender),
            partial(self._authenticate, sender),
            partial(self._envelope, sender, recipient, len(content)),
            partial(self._body, content),
        )
        return self._stopped_at(*steps) or self._out_of_turn()

    def dot(self, hand_over: Callable[[], Why | None]) -> Outcome:
        connection = self._open()
        began = clock.boottime()
        if refusal := hand_over():
            return Withdrawn(refusal)
        if clock.boottime() - began > self.timeouts.dot_after_hand_over_seconds:
            return Deferred(Scope.WORKER, Phase.DOT, no_reply(Reason(Code.DOT_TOO_LATE)))
        if spoke := self._out_of_turn():
            return spoke
        try:
            with self._in(Phase.DOT):
                answer = connection.write_dot(self.timeouts.answer_seconds)
        except (smtplib.SMTPException, OSError) as error:
            return Unanswered(Reason(Code.NO_ANSWER, because=_why(error)))
        self.phase = Phase.QUIT
        return self._judge(Phase.DOT, _reply(*answer))

    def close(self) -> None:
        """Quit, but not inside DATA, where QUIT would be part of the message: then only drop the connection."""
        if self.connection is not None:
            if self.phase in (Phase.AUTH, Phase.MAIL, Phase.RCPT, Phase.QUIT):
                self.connection.quit_quietly()
            self.connection.close()

    def _stopped_at(self, *steps: Callable[[], None]) -> Outcome | None:
        """Run the steps. None: all succeeded."""
        try:
            for step in steps:
                step()
        except _TooLarge as error:
            return Deferred(Scope.CAMPAIGN, self.phase, no_reply(why(error)))
        except smtplib.SMTPResponseException as error:
            return self._judge(self.phase, self._without_password(_reply(error.smtp_code, error.smtp_error)))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # ValueError: smtplib assumes well-formed data from the server during the login.
            return judge(self.phase, no_reply(_why(error)))
        return None

    @contextmanager
    def _in(self, phase: Phase) -> Iterator[None]:
        """Enter this phase and measure it. It stays the current one until another begins."""
        self.phase = phase
        began = clock.boottime()
        try:
            yield
        finally:
            self.seconds[phase] = clock.boottime() - began

    def _connect(self, sender: str) -> None:
        with self._in(Phase.CONNECT):
            name = domain(sender)
            self.connection = connection = Connection(self.server, self.timeouts, self.context, name, self.until)
            connection.greet()
            connection.ehlo_or_helo_if_needed()
        if self.server.security == "starttls":
            with self._in(Phase.TLS):
                connection.encrypt()

    def _authenticate(self, sender: str) -> None:
        self.phase = Phase.AUTH
        if self.server.username is None:
            return
        if refusal := why_no_login(self.server):
            raise smtplib.SMTPException(refusal)
        try:
            with self._in(Phase.AUTH):
                self._open().log_in()
            return
        except HungUp as error:
            if not error.there_are_others:
                raise
            given_up = error.mechanism
        self._connect(sender)
        with self._in(Phase.AUTH):
            self._open().log_in(without=given_up)

    def _envelope(self, sender: str, recipient: str, size: int) -> None:
        connection = self._open()
        self.sender, self.recipient = sender, recipient
        with self._in(Phase.MAIL):
            expect(2, connection.mail(sender, self._announced(size)))
        with self._in(Phase.RCPT):
            expect(2, connection.rcpt(recipient))
        with self._in(Phase.DATA):
            expect(3, connection.docmd("DATA"))

    def _announced(self, size: int) -> list[str]:
        """MAIL's SIZE parameter if the server supports it (RFC 1870): the size without doubled dots."""
        connection = self._open()
        if not connection.has_extn("size"):
            return []
        most = connection.esmtp_features["size"].strip()
        if most.isascii() and most.isdigit() and 0 < int(most) < size:
            raise _TooLarge(Reason(Code.LETTER_TOO_LARGE, letter=size, takes=int(most)))
        return [f"SIZE={size}"]

    def _body(self, content: bytes) -> None:
        with self._in(Phase.BODY):
            self._open().write(_LEADING_DOT.sub(b"..", content))

    def _out_of_turn(self) -> Outcome | None:
        """The outcome if the server speaks before the dot: whatever it says is no answer to the dot."""
        connection = self._open()
        try:
            if not connection.has_something_to_say():
                return None
            return self._judge(Phase.BODY, _reply(*connection.getreply()))
        except (smtplib.SMTPException, OSError) as error:
            return judge(Phase.BODY, no_reply(_why(error)))

    def _judge(self, phase: Phase, it: Reply) -> Outcome:
        told = explained(it, self.server, at_login=phase is Phase.AUTH)
        return judge(phase, told, self.sender, self.recipient)

    def _without_password(self, it: Reply) -> Reply:
        return replace(it, text=without_password(it.text, self.server)) if self.phase is Phase.AUTH else it

    def _open(self) -> Connection:
        assert self.connection is not None
        return self.connection


def _why(error: Exception) -> Reason:
    """Why the conversation broke off; in another program's words if there is no code for it."""
    if isinstance(found := why(error), Reason):
        return found
    if isinstance(error, TimeoutError):
        return Reason(Code.TIMED_OUT)
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionResetError | BrokenPipeError):
        return Reason(Code.HUNG_UP)
    return Reason(Code.CONNECTION_FAILED, error=found or type(error).__name__)


def _on_the_wire(content: bytes) -> bytes:
    """End each line with CRLF, the last one too (RFC 5321 section 2.3.7)."""
    lines = _LINE_END.sub(b"\r\n", content)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def _reply(code: int, words: bytes | str) -> Reply:
    return reply(code, words.decode("utf-8", "replace") if isinstance(words, bytes) else words)
