"""One conversation with a mail server, over the standard library's smtplib, with the final dot written on its own.

Before the dot every failure proves that nothing was sent; after it only an answer proves anything. Between the two the
caller is asked to record the hand-over. Timeouts are per command, as RFC 5321 section 4.5.3.2 asks.
"""

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import clock
from mail.address import domain
from mail.connection import Connection, Server, Timeouts, expect
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

_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


@contextmanager
def conversation(
    server: Server,
    sender: str,
    recipient: str,
    content: bytes,
    timeouts: Timeouts,
    hand_over: Callable[[], str | None],
    context: ssl.SSLContext | None = None,
) -> Iterator[Outcome]:
    """Send one message (as mail.message builds it) to one recipient, both addresses in their ASCII form.

    Gives what became of it while the connection still stands: the caller records that first, and only then is leave
    taken of the server, which may take its time. hand_over: called when all but the dot is written; it returns why the
    dot must not be written, or None to have it written. What it raises is raised here, and the connection is dropped.
    """
    if not recipient.isascii():
        yield Refused(Scope.LEAD, Phase.RCPT, no_reply("the address has no ASCII form"))
        return
    conversation = _Conversation(server, timeouts, context or ssl.create_default_context())
    try:
        yield conversation.up_to_the_dot(sender, recipient, content) or conversation.dot(hand_over)
    finally:
        conversation.close()


class _Conversation:
    def __init__(self, server: Server, timeouts: Timeouts, context: ssl.SSLContext) -> None:
        self.server, self.timeouts, self.context = server, timeouts, context
        self.phase = Phase.CONNECT
        self.connection: Connection | None = None

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

    def dot(self, hand_over: Callable[[], str | None]) -> Outcome:
        connection = self._open()
        began = clock.boottime()
        if refusal := hand_over():
            return Withdrawn(refusal)
        if clock.boottime() - began > self.timeouts.dot_after_hand_over_seconds:
            return Deferred(Scope.WORKER, Phase.DOT, no_reply("too long between the hand-over and its dot"))
        if spoke := self._out_of_turn():
            return spoke
        self.phase = Phase.DOT
        try:
            answer = connection.write_dot(self.timeouts.answer_seconds)
        except (smtplib.SMTPException, OSError) as error:
            return Unanswered(f"no answer to the final dot: {error}")
        self.phase = Phase.QUIT
        return judge(Phase.DOT, _reply(*answer))

    def close(self) -> None:
        """Inside DATA a QUIT would be text of the message: the connection is only dropped."""
        if self.connection is not None:
            if self.phase in (Phase.AUTH, Phase.MAIL, Phase.RCPT, Phase.QUIT):
                self.connection.quit_quietly()
            self.connection.close()

    def _connect(self, sender: str) -> None:
        self.connection = connection = Connection(self.server, self.timeouts, self.context, domain(sender))
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
        expect(2, connection.mail(sender))
        self.phase = Phase.RCPT
        expect(2, connection.rcpt(recipient))
        self.phase = Phase.DATA
        expect(3, connection.docmd("DATA"))

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

    def _open(self) -> Connection:
        assert self.connection is not None
        return self.connection


def _reply(code: int, words: bytes | str) -> Reply:
    return reply(code, words.decode("utf-8", "replace") if isinstance(words, bytes) else words)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
