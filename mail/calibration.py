"""A calibration mail: an e-mail from a mailbox to another of our own, and what its arrival says about the first.

Reads Authentication-Results (RFC 8601), what DKIM signs (h= of RFC 6376 section 3.5), and where the e-mail was put.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from email import message_from_bytes
from email.message import Message
from enum import StrEnum

from mail import imap
from mail.connection import Server
from mail.domain import State
from mail.imap import Patience, SentFolder, Step, telling
from mail.inbox import INBOX, Bounds, Inbox
from mail.message import MESSAGE_ID_HEADER
from reasons import Code, Reason

_ONE_CLICK = frozenset({"list-unsubscribe", "list-unsubscribe-post"})  # RFC 8058 section 4
_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"(?:^|;)\s*(spf|dkim|dmarc)\s*=\s*(\w+)", re.IGNORECASE)
# No proof of a fault: the receiver could not check (RFC 8601 section 2.7).
_NOT_TOLD = ("temperror", "neutral", "policy")


class Record(StrEnum):
    ARRIVAL = "arrival"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    ONE_CLICK = "one_click"
    MESSAGE_ID = "message_id"
    SENT_COPY = "sent_copy"


@dataclass(frozen=True)
class Finding:
    record: Record
    state: State
    because: Reason


@dataclass(frozen=True)
class Arrival:
    """The e-mail as it lies in the other mailbox."""

    folder: str
    at: datetime  # the server's clock
    is_id_kept: bool  # it has the Message-ID that it was sent with
    headers: Message

    @property
    def is_junk(self) -> bool:
        return self.folder != INBOX


def arrival(server: Server, message_id: str, since: date, patience: Patience) -> Arrival | None:
    """Look for it in inbox and junk folder. Raises imap.SentFolderUnreadable if they cannot be read."""
    with imap.conversation(server, patience) as (client, deadline):
        for name in Inbox(client, deadline, Bounds(1, 1, 1, patience.conversation_seconds)).folders():
            with telling(Step.FOLDER, deadline):
                client.select_folder(name, readonly=True)
            folder = SentFolder(client, name, deadline)
            if found := folder.find(message_id, since):
                headers = message_from_bytes(folder.headers(found.uid))
                return Arrival(name, found.filed_at, found.header == MESSAGE_ID_HEADER, headers)
    return None


def findings(it: Arrival | None, to: str, seconds: int, *, copy_found: bool | None) -> list[Finding]:
    """What a calibration mail shows. to: the other mailbox. seconds: until it arrived, or until the wait ended.

    copy_found: whether the Sent folder has a copy; None: nobody could look.
    """
    return [Finding(record, *told) for record, told in _told(it, to, seconds, copy_found=copy_found)]


def _told(
    it: Arrival | None, to: str, seconds: int, *, copy_found: bool | None
) -> Iterator[tuple[Record, tuple[State, Reason]]]:
    yield Record.SENT_COPY, _copy(copy_found)
    if it is None:
        late = State.UNKNOWN, Reason(Code.CALIBRATION_NOT_ARRIVED, to=to, seconds=seconds)
        yield from ((record, late) for record in Record if record is not Record.SENT_COPY)
        return
    yield Record.ARRIVAL, _place(it, to, seconds)
    results = _results(it.headers)
    for record in (Record.SPF, Record.DKIM, Record.DMARC):
        yield record, _authenticated(record, results.get(record), to)
    yield Record.ONE_CLICK, _one_click(it.headers, results.get(Record.DKIM))
    yield Record.MESSAGE_ID, _message_id(it)


def _copy(found: bool | None) -> tuple[State, Reason]:
    if found is None:
        return State.UNKNOWN, Reason(Code.CALIBRATION_SENT_UNREAD)
    return (State.OK, Reason(Code.CALIBRATION_COPY)) if found else (State.WEAK, Reason(Code.CALIBRATION_NO_COPY))


def _place(it: Arrival, to: str, seconds: int) -> tuple[State, Reason]:
    if it.is_junk:
        return State.WRONG, Reason(Code.CALIBRATION_JUNK, to=to, folder=it.folder)
    return State.OK, Reason(Code.CALIBRATION_ARRIVED, to=to, seconds=seconds)


def _results(headers: Message) -> dict[str, str]:
    """Method -> result, of the receiver that came last: its header stands first. A pass outweighs other signatures."""
    found: dict[str, str] = {}
    for header in headers.get_all("Authentication-Results", [])[:1]:
        for method, result in _RESULT.findall(_COMMENT.sub("", " ".join(str(header).split()))):
            name = method.lower()
            found[name] = "pass" if "pass" in (found.get(name), result.lower()) else result.lower()
    return found


def _authenticated(record: Record, result: str | None, to: str) -> tuple[State, Reason]:
    values = {"check": record.upper(), "to": to}
    if result is None or result in _NOT_TOLD:
        return State.UNKNOWN, Reason(Code.CALIBRATION_NOT_TOLD, **values)
    if result == "pass":
        return State.OK, Reason(Code.CALIBRATION_PASSES, **values)
    return State.MISSING if result == "none" else State.WRONG, Reason(Code.CALIBRATION_FAILS, result=result, **values)


def _one_click(headers: Message, dkim: str | None) -> tuple[State, Reason]:
    signatures = headers.get_all("DKIM-Signature", [])
    if not signatures:
        state = State.MISSING if dkim == "none" else State.UNKNOWN
        return state, Reason(Code.CALIBRATION_UNSIGNED)
    if dkim != "fail" and any(_signed(str(each)) >= _ONE_CLICK for each in signatures):
        return State.OK, Reason(Code.CALIBRATION_ONE_CLICK)
    return State.WEAK, Reason(Code.CALIBRATION_NO_ONE_CLICK)


def _signed(signature: str) -> frozenset[str]:
    """The headers that a DKIM signature covers, in lower case."""
    tags = dict(tag.strip().partition("=")[::2] for tag in signature.split(";") if "=" in tag)
    return frozenset(name.strip().lower() for name in "".join(tags.get("h", "").split()).split(":"))


def _message_id(it: Arrival) -> tuple[State, Reason]:
    if it.is_id_kept:
        return State.OK, Reason(Code.CALIBRATION_ID_KEPT)
    return State.WEAK, Reason(Code.CALIBRATION_ID_REPLACED)
