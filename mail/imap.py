"""Looks for the copy of a mail in its mailbox's Sent folder, over the library IMAPClient, and changes nothing there.

A copy proves that the server took the mail; that there is none proves nothing. A server's search is a hint: what it
finds is believed when the headers themselves say so.
"""

import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from email import message_from_bytes
from enum import StrEnum
from functools import partial
from typing import NamedTuple, Self

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.imapclient import SENT

import config
from mail.connection import Server, why_no_login
from mail.message import ID_HEADER, MESSAGE_ID_HEADER, own_id
from mail.outcome import no_reply

# A search that finds more than this for one mail has not searched for it.
_MOST_CANDIDATES = 100
_HEADERS = "BODY.PEEK[HEADER]"


class Step(StrEnum):
    CONNECT = "connect"  # up to the greeting, TLS included
    LOGIN = "login"
    FOLDER = "folder"
    SEARCH = "search"


class SentFolderUnreadable(Exception):
    """The Sent folder could not be looked into: its text says why, in the server's words where it has any."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class Patience(NamedTuple):
    command_seconds: float  # for each answer
    conversation_seconds: float  # for everything, however busily the server talks

    @classmethod
    def configured(cls) -> Self:
        limits = config.settings().imap
        return cls(limits.command_timeout_seconds, limits.conversation_timeout_seconds)


@dataclass(frozen=True)
class Evidence:
    """A copy of the mail, and what tells that it is one."""

    folder: str
    uid: int
    header: str  # the one that names the e-mail
    filed_at: datetime  # by the server's clock


class SentFolder:
    """An open conversation about one folder."""

    def __init__(self, client: IMAPClient, name: str, deadline: "_Deadline") -> None:
        self.name = name
        self._client, self._deadline = client, deadline

    def find(self, message_id: str, since: date) -> Evidence | None:
        """The mail's copy, if there is one that was filed on that day or later."""
        with _telling(Step.SEARCH, self._deadline):
            for header, value in ((MESSAGE_ID_HEADER, message_id), (ID_HEADER, own_id(message_id))):
                if evidence := self._verify(self._search(header, value, since), header, value):
                    return evidence
        return None

    def _search(self, header: str, value: str, since: date) -> list[int]:
        try:
            return sorted(self._client.search(["SINCE", since, "HEADER", header, value]))[-_MOST_CANDIDATES:]
        except IMAPClientAbortError:
            raise
        except IMAPClientError:
            # Some servers search only for headers that they keep an index of, and refuse ours.
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
    """Log in and open the Sent folder read-only. name: None finds the one that the server marks (RFC 6154)."""
    context = context or ssl.create_default_context()
    with _Deadline(patience.conversation_seconds) as deadline:
        with _telling(Step.CONNECT, deadline):
            client = _Client(server, patience, context, deadline)
        with client:  # logs out, whatever happens
            with _telling(Step.CONNECT, deadline):
                if server.security == "starttls":
                    client.starttls(context)
            with _telling(Step.LOGIN, deadline):
                _log_in(client, server)
            with _telling(Step.FOLDER, deadline):
                folder = _open(client, name)
            yield SentFolder(client, folder, deadline)


def _log_in(client: IMAPClient, server: Server) -> None:
    if refusal := why_no_login(server):
        raise IMAPClientError(refusal)
    client.login(server.username or "", server.password or "")


def _open(client: IMAPClient, name: str | None) -> str:
    folder: str | None = name or client.find_special_folder(SENT)
    if folder is None:
        raise IMAPClientError("the server marks no folder as the one of sent mails: it must be named")
    client.select_folder(folder, readonly=True)
    return folder


class _Client(IMAPClient):  # type: ignore[misc]  # it has no types
    """IMAPClient's, over a connection that the deadline knows from its first byte on."""

    def __init__(self, server: Server, patience: Patience, context: ssl.SSLContext, deadline: "_Deadline") -> None:
        self._wire = partial(_Wire, server, patience.command_seconds, context, deadline)
        encrypted = server.security == "tls"
        super().__init__(server.host, server.port, ssl=encrypted, timeout=patience.command_seconds)
        self.normalise_times = False  # aware times

    def _create_IMAP4(self) -> imaplib.IMAP4:
        return self._wire()


class _Wire(imaplib.IMAP4):
    def __init__(self, server: Server, seconds: float, context: ssl.SSLContext, deadline: "_Deadline") -> None:
        self._context = context if server.security == "tls" else None
        self._deadline = deadline
        super().__init__(server.host, server.port, seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((self.host, self.port), timeout)
        self._deadline.watch(plain)
        return self._context.wrap_socket(plain, server_hostname=self.host) if self._context else plain


class _Deadline:
    """Cuts the connection when its time is over. A timeout a read would let a server talk for ever, byte by byte."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
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

    def watch(self, connection: socket.socket) -> None:
        # Its own handle on it: encrypting it makes another socket of it, and it may be closed elsewhere.
        self._connection = connection.dup()
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        self.is_over = True
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def _telling(step: Step, deadline: _Deadline) -> Iterator[None]:
    """Make one exception of all that can go wrong at this step."""
    try:
        yield
    except (IMAPClientError, OSError, LookupError, ValueError) as error:
        reason = "the conversation took too long" if deadline.is_over else _words(error)
        raise SentFolderUnreadable(step, reason) from None


def _words(error: Exception) -> str:
    """imaplib passes a server's words on as bytes."""
    text = str(error) or type(error).__name__
    return no_reply(re.sub(r"^b'(.*)'$", r"\1", text, flags=re.DOTALL)).text
