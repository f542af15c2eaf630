"""Reads what came into a mailbox: its inbox and junk folder, over IMAP. Nothing is moved, marked or deleted.

Goes on after the last UID that was read. Bounded in number, bytes and time: what does not fit is left to the next look.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from imapclient import IMAPClient
from imapclient.imapclient import JUNK

import clock
from mail import imap
from mail.connection import Server
from mail.imap import Deadline, Patience, SentFolderUnreadable, Step, telling

INBOX = "INBOX"
# Names of junk folders where the server marks none (RFC 6154), compared in lower case.
_JUNK = frozenset(
    {
        *("junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "bulk"),
        *("niechciane", "wiadomości-śmieci", "wiadomości śmieci", "śmieci", "śmieci-e-mail", "niechciana poczta"),
    }
)
# UIDs asked for in one search: bounds the reply. Doubled while nothing is found, because UIDs may have large gaps.
_WINDOW, _WIDEST_WINDOW = 1_000, 1 << 31
_SIZES_AT_ONCE = 100
_HIGHEST_UID = (1 << 32) - 1


class InboxUnreadable(Exception):
    """The inbox could not be read, or not to its end. Says why, in the server's words if there are any."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(reason)
        self.step = step


class Bounds(NamedTuple):
    """How much one look may read."""

    messages: int
    message_bytes: int  # the first ones of each message
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Message:
    uid: int
    received_at: datetime  # the server's INTERNALDATE
    size: int
    raw: bytes  # its first bytes


@dataclass(frozen=True)
class Progress:
    """Everything up to this UID has been read or passed over."""

    last_uid: int
    message: Message | None  # read last; None: there was nothing to be read before this UID


class Folder:
    """A folder that was opened with EXAMINE."""

    def __init__(self, client: IMAPClient, name: str, deadline: Deadline, budget: "_Budget") -> None:
        self.name = name
        self._client, self._deadline, self._budget = client, deadline, budget
        with telling(Step.FOLDER, deadline):
            found = client.select_folder(name, readonly=True)
            self.uidvalidity = int(found[b"UIDVALIDITY"])
            self._next: int | None = int(found[b"UIDNEXT"]) if b"UIDNEXT" in found else None
            self.count = int(found.get(b"EXISTS", 0))

    def after(self, last_uid: int, since: date) -> Iterator[Progress]:
        """What follows this UID, in order, without what was received before that day. Ends early at the bounds."""
        width = _WINDOW
        while last_uid < self._highest() and not self._budget.is_used_up:
            end = min(last_uid + width, self._highest())
            uids = self._search(last_uid + 1, end, since)
            width = _WINDOW if uids else min(width * 2, _WIDEST_WINDOW)
            for progress in self._read(uids):
                last_uid = progress.last_uid
                yield progress
            if not self._budget.is_used_up:
                last_uid = end
                yield Progress(end, None)

    def is_read(self, last_uid: int) -> bool:
        """Whether nothing is left after this UID."""
        return last_uid >= self._highest()

    def _highest(self) -> int:
        if self._next is None:  # servers before IMAP4rev1's UIDNEXT
            with telling(Step.SEARCH, self._deadline):
                self._next = max(self._client.search(["UID", "*"]), default=0) + 1
        return min(self._next - 1, _HIGHEST_UID) if self.count else 0

    def _search(self, first: int, last: int, since: date) -> list[int]:
        with telling(Step.SEARCH, self._deadline):
            found = self._client.search(["UID", f"{first}:{last}", "SINCE", since])
            # What the server says besides is not asked for.
            return sorted(uid for uid in found if first <= uid <= last)

    def _read(self, uids: list[int]) -> Iterator[Progress]:
        for start in range(0, len(uids), _SIZES_AT_ONCE):
            some = uids[start : start + _SIZES_AT_ONCE]
            with telling(Step.SEARCH, self._deadline):
                told = self._client.fetch(some, ["RFC822.SIZE", "INTERNALDATE"])
            for uid in some:
                if self._budget.is_used_up:
                    return
                yield Progress(uid, self._message(uid, told.get(uid, {})))

    def _message(self, uid: int, told: dict[bytes, Any]) -> Message | None:
        """Fetch a message. None: it has been deleted in the meantime."""
        if not isinstance(received_at := told.get(b"INTERNALDATE"), datetime):
            return None
        with telling(Step.SEARCH, self._deadline):
            answer = self._client.fetch([uid], [f"BODY.PEEK[]<0.{self._budget.bounds.message_bytes}>"]).get(uid, {})
        raw = next((value for key, value in answer.items() if key.startswith(b"BODY[]")), None)
        if not isinstance(raw, bytes):
            return None
        raw = raw[: self._budget.bounds.message_bytes]
        self._budget.pay(len(raw))
        return Message(uid, received_at, int(told.get(b"RFC822.SIZE", len(raw))), raw)


class Inbox:
    """An open conversation with a mailbox."""

    def __init__(self, client: IMAPClient, deadline: Deadline, bounds: Bounds) -> None:
        self._client, self._deadline, self._budget = client, deadline, _Budget(bounds)

    @property
    def is_used_up(self) -> bool:
        """Whether this look has read as much as it may."""
        return self._budget.is_used_up

    def folders(self) -> list[str]:
        """The inbox, and the junk folder if there is one."""
        with telling(Step.FOLDER, self._deadline):
            listed = [
                (flags, _plain(delimiter), _plain(name)) for flags, delimiter, name in self._client.list_folders()
            ]
        marked = [name for flags, _, name in listed if JUNK.lower() in {flag.lower() for flag in flags}]
        named = [name for _, delimiter, name in listed if _leaf(name, delimiter).lower() in _JUNK]
        return [INBOX, *(name for name in (marked or named)[:1] if name.upper() != INBOX)]

    def open(self, name: str) -> Folder:
        return Folder(self._client, name, self._deadline, self._budget)


@contextmanager
def opened(
    server: Server, command_seconds: float, bounds: Bounds, context: ssl.SSLContext | None = None
) -> Iterator[Inbox]:
    """Log in. Raises InboxUnreadable, also from what is read later."""
    # The bytes of a message come with some of its envelope; the searches' replies are small.
    patience = Patience(
        command_seconds,
        bounds.seconds + 2 * command_seconds,
        reply_bytes=bounds.message_bytes + 2_000_000,
        conversation_bytes=bounds.bytes + bounds.message_bytes + 16_000_000,
    )
    try:
        with imap.conversation(server, patience, context) as (client, deadline):
            yield Inbox(client, deadline, bounds)
    except SentFolderUnreadable as failure:
        raise InboxUnreadable(failure.step, str(failure)) from None


class _Budget:
    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._until = clock.boottime() + bounds.seconds
        self._messages, self._bytes = bounds.messages, bounds.bytes

    @property
    def is_used_up(self) -> bool:
        return self._messages <= 0 or self._bytes <= 0 or clock.boottime() >= self._until

    def pay(self, size: int) -> None:
        self._messages -= 1
        self._bytes -= size


def _leaf(name: str, delimiter: str) -> str:
    return name.rpartition(delimiter)[2] if delimiter else name


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
