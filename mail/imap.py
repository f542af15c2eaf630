"""IMAP conversations, using the library IMAPClient: with deadlines, and bounds on what a server can make us read.

Searches a mailbox's Sent folder for an e-mail's copy; inbox.py reads inboxes. Read-only. A copy proves that the server
accepted the e-mail; finding none proves nothing. A server's search result only counts if the found message's headers
confirm it.
"""

import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from email import message_from_bytes
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, Self

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.imapclient import SENT

import clock
import config
from mail import dial, login
from mail.login import Server, why_no_login, without_password
from mail.message import ID_HEADER, MESSAGE_ID_HEADER, own_id
from mail.outcome import no_reply
from reasons import Code, Reason

# A search with more results than this ignored our criteria.
_MOST_CANDIDATES = 100
_HEADERS = "BODY.PEEK[HEADER]"
# Bytes; limits the memory that a server can make us use.
_LARGEST_REPLY, _LARGEST_CONVERSATION = 2_000_000, 16_000_000
_PER_LINE = 64  # bytes; the least a line is counted as


class Step(StrEnum):
    CONNECT = "connect"  # up to the greeting, including TLS
    LOGIN = "login"
    FOLDER = "folder"
    SEARCH = "search"


class SentFolderUnreadable(Exception):
    """The Sent folder could not be searched. Says why, in the server's words if there are any."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class Patience(NamedTuple):
    command_seconds: float  # for each answer
    conversation_seconds: float  # for the whole conversation
    reply_bytes: int = _LARGEST_REPLY
    conversation_bytes: int = _LARGEST_CONVERSATION

    @classmethod
    def configured(cls) -> Self:
        limits = config.settings().imap
        return cls(limits.command_timeout_seconds, limits.conversation_timeout_seconds)


@dataclass(frozen=True)
class Evidence:
    """A copy of the e-mail, and how it was recognised."""

    folder: str
    uid: int
    header: str  # the one that names the e-mail
    filed_at: datetime  # the server's clock


class SentFolder:
    """An open IMAP conversation with one folder selected."""

    def __init__(self, client: IMAPClient, name: str, deadline: "Deadline") -> None:
        self.name = name
        self._client, self._deadline = client, deadline

    def find(self, message_id: str, since: date) -> Evidence | None:
        """The e-mail's copy, if one was filed on that day or later."""
        with telling(Step.SEARCH, self._deadline):
            for header, value in ((MESSAGE_ID_HEADER, message_id), (ID_HEADER, own_id(message_id))):
                if evidence := self._verify(self._search(header, value, since), header, value):
                    return evidence
        return None

    def headers(self, uid: int) -> bytes:
        """The headers of a message that find() has found."""
        with telling(Step.SEARCH, self._deadline):
            return bytes(self._client.fetch([uid], [_HEADERS])[uid].get(b"BODY[HEADER]") or b"")

    def _search(self, header: str, value: str, since: date) -> list[int]:
        try:
            return sorted(self._client.search(["SINCE", since, "HEADER", header, value]))[-_MOST_CANDIDATES:]
        except IMAPClientAbortError:
            raise
        except IMAPClientError:
            # Some servers only search headers that they index, and refuse ours.
            if header == ID_HEADER:
                return []
            raise

    def _verify(self, uids: list[int], header: str, value: str) -> Evidence | None:
        for uid, parts in self._client.fetch(uids, [_HEADERS, "INTERNALDATE"]).items():
            headers = message_from_bytes(parts.get(b"BODY[HEADER]") or b"")
            if value in (str(each).strip() for each in headers.get_all(header, [])):
                return Evidence(self.name, uid, header, parts[b"INTERNALDATE"])
        return None


@contextmanager
def sent_folder(
    server: Server, name: str | None, patience: Patience, context: ssl.SSLContext | None = None
) -> Iterator[SentFolder]:
    """Log in and open the Sent folder read-only. name: None finds the one flagged \\Sent (RFC 6154)."""
    with conversation(server, patience, context) as (client, deadline):
        with telling(Step.FOLDER, deadline):
            folder = _open(client, name)
        yield SentFolder(client, folder, deadline)


@contextmanager
def conversation(
    server: Server, patience: Patience, context: ssl.SSLContext | None = None
) -> Iterator[tuple[IMAPClient, "Deadline"]]:
    """A connection after its login. Always logs out."""
    context = context or ssl.create_default_context()
    with Deadline(patience.conversation_seconds) as deadline:
        with telling(Step.CONNECT, deadline):
            client = _Client(server, patience, context, deadline)
        with client:
            with telling(Step.CONNECT, deadline):
                if server.security == "starttls":
                    _encrypt(client, server, context)
            with telling(Step.LOGIN, deadline, server), _explaining(server):
                _log_in(client, server)
            yield client, deadline


def _encrypt(client: IMAPClient, server: Server, context: ssl.SSLContext) -> None:
    if not client.has_capability("STARTTLS"):
        raise IMAPClientError(Reason(Code.NO_STARTTLS))
    with dial.in_plain_words(server.host):
        client.starttls(context)


def _log_in(client: IMAPClient, server: Server) -> None:
    """Try to log in once, with PLAIN if the server has it, because it supports UTF-8 (RFC 4616)."""
    if refusal := why_no_login(server):
        raise _Refused(refusal)
    if server.token is not None:
        _log_in_by_token(client, server)
        return
    username, password = server.username or "", server.password or ""
    if client.has_capability("AUTH=PLAIN"):
        client.sasl_login("PLAIN", _in_turn(f"\0{username}\0{password}"))
    elif client.has_capability("LOGINDISABLED"):
        raise _Refused("the server accepts no password on this port (LOGINDISABLED, and no AUTH=PLAIN)")
    elif not f"{username}{password}".isascii():
        raise _Refused("the user name or password has characters outside ASCII, which this server does not support")
    else:
        client.login(username, password)


def _log_in_by_token(client: IMAPClient, server: Server) -> None:
    for mechanism in login.OAUTH_MECHANISMS:
        if client.has_capability(f"AUTH={mechanism}"):
            response = login.oauth_response(mechanism, server)
            client.sasl_login(mechanism, _in_turn(response, login.AFTER_ERROR[mechanism]))
            return
    offered = " ".join(each.decode("ascii", "replace") for each in client.capabilities())
    raise _Refused(Reason(Code.NO_OAUTH_LOGIN, offered=offered))


def _in_turn(*answers: str) -> Callable[[bytes], str]:
    """A SASL callback that gives one answer to each challenge of the server, which may not ask for more."""
    left = list(answers)

    def answer(_: bytes) -> str:
        if not left:
            raise _Refused("the server keeps asking for the password")
        return left.pop(0)

    return answer


class _Refused(IMAPClientError):  # type: ignore[misc]  # it has no types
    """The login is refused for a reason of ours, not in the server's words."""


@contextmanager
def _explaining(server: Server) -> Iterator[None]:
    """Add to the server's refusal what it means for the mailbox's owner, where that is not plain."""
    try:
        yield
    except (_Refused, IMAPClientAbortError):
        raise
    except IMAPClientError as error:
        found = login.meaning(_words(error), server)
        if found.code is Code.PASSWORD_REFUSED:
            raise
        raise _Refused(found) from None


def _open(client: IMAPClient, name: str | None) -> str:
    folder: str | None = name or client.find_special_folder(SENT)
    if folder is None:
        raise IMAPClientError("the server marks no folder as the Sent folder: name it with --sent-folder")
    client.select_folder(folder, readonly=True)
    return folder


class _Client(IMAPClient):  # type: ignore[misc]  # it has no types
    """IMAPClient over our own connection, which the deadline covers from the first byte."""

    def __init__(self, server: Server, patience: Patience, context: ssl.SSLContext, deadline: "Deadline") -> None:
        self._wire = partial(_Wire, server, patience, context, deadline)
        encrypted = server.security == "tls"
        super().__init__(server.host, server.port, ssl=encrypted, timeout=patience.command_seconds)
        self.normalise_times = False  # aware times

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return self._wire()


class _Wire(imaplib.IMAP4):
    def __init__(self, server: Server, patience: Patience, context: ssl.SSLContext, deadline: "Deadline") -> None:
        self._server, self._patience, self._context, self._deadline = server, patience, context, deadline
        self._seconds = patience.command_seconds
        self._reply_left, self._conversation_left = patience.reply_bytes, patience.conversation_bytes
        super().__init__(server.host, server.port, self._seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = dial.connect(self.host, self.port, min(self._seconds, self._deadline.seconds_left))
        self._deadline.watch(plain)
        return dial.secure(plain, (self.host, self.port), self._server.security, self._context, self._seconds)

    def send(self, data: Any) -> None:
        self._reply_left = self._patience.reply_bytes
        super().send(data)

    def read(self, size: int) -> bytes:
        self._pay(size)
        return super().read(size)

    def readline(self) -> bytes:
        try:
            line = super().readline()
        except self.error:  # longer than imaplib allows
            self._pay(self._patience.conversation_bytes)
            raise
        self._pay(len(line) + _PER_LINE)
        return line

    def _pay(self, size: int) -> None:
        """Count bytes read, in advance if their number is known. Raises when it is too much."""
        self._reply_left -= size
        self._conversation_left -= size
        if self._reply_left < 0 or self._conversation_left < 0:
            self._conversation_left = -1
            raise OSError("the server's answer is too long")


class Deadline:
    """Closes the connection at a deadline. With a timeout per read, a server could go on for ever, byte by byte."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._until = clock.boottime() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._connection: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._connection is not None:
            self._connection.close()

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._until - clock.boottime())

    def watch(self, connection: socket.socket) -> None:
        # A duplicate handle: TLS wraps the socket in another one, and it may be closed elsewhere.
        self._connection = connection.dup()
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        self.is_over = True
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def telling(step: Step, deadline: Deadline, server: Server | None = None) -> Iterator[None]:
    """Convert every error of this step to SentFolderUnreadable. server: its password is masked in the text."""
    try:
        yield
    except (IMAPClientError, OSError) as error:
        words = without_password(_words(error), server) if server else _words(error)
        raise SentFolderUnreadable(step, "the conversation took too long" if deadline.is_over else words) from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        # imaplib and IMAPClient assume well-formed answers.
        raise SentFolderUnreadable(step, "the server's answer cannot be understood") from None


def _words(error: Exception) -> str:
    """The error's text; imaplib passes a server's words as bytes."""
    text = str(error) or type(error).__name__
    return no_reply(re.sub(r"^b'(.*)'$", r"\1", text, flags=re.DOTALL)).text
