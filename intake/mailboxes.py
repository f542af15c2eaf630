"""What a person says about a mailbox, by command or page: checked, and completed by what is usual."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Literal

import config
import messages
from mail.message import LetterInvalid, check_sender_name, refuse_control_characters
from messages import Message, Said, gettext_noop
from models.owner.mailboxes import Ramp, SentMail
from models.store.tables import Mailbox

_LONGEST = 320
_HOST = re.compile(r"(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*\.?")


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
IMAP_PORTS = {Security.STARTTLS: 143, Security.TLS: 993, Security.NONE: 143}


def faults(given: Mapping[str, str | None]) -> Iterator[tuple[str, Said]]:
    """What is wrong with a mailbox's texts: name and why. An empty IMAP server removes it, so that it is right."""
    for name in ("host", "imap_host"):
        server = given.get(name)
        if server is not None and not _is_host(server) and (server or name == "host"):
            template = gettext_noop("%(text)s is not a server name like smtp.your-provider.pl")
            yield name, Message(template, text=repr(server[:80]))
    if given.get("username") == "":
        yield "username", Message(gettext_noop("must not be empty; leave it out if the server needs none"))
    try:
        check_sender_name(given.get("name") or "")
    except LetterInvalid as error:
        yield "name", messages.of(error)
    for name, called in (("username", "user name"), ("sent_folder", "folder's name")):
        text = given.get(name) or ""
        try:
            refuse_control_characters(called, text)
        except LetterInvalid as error:
            yield name, messages.of(error)
        if len(text) > _LONGEST:
            yield name, Message(gettext_noop("must have at most %(bound)s characters"), bound=_LONGEST)


def _is_host(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return len(text) <= 253 and _HOST.fullmatch(text) is not None


def is_in_clear(host: str, security: str) -> bool:
    """Whether it would send every e-mail unencrypted to another machine."""
    return security == Security.NONE and not config.is_loopback(host)


class Incomplete(Exception):
    """A setting wants another one beside it."""


def sent_mail(
    before: SentMail | None, host: str | None, port: int | None, security: Security | None, folder: str | None
) -> SentMail | None:
    """The Sent folder's settings: the current ones, changed by the given ones. host: "" removes it.

    Raises Incomplete.
    """
    known_host = before.imap_host if before else None
    host = known_host if host is None else host
    if not host:
        if port is not None or security or folder:
            raise Incomplete(Message(gettext_noop("the other IMAP settings need an IMAP server")))
        return None
    known_security, known_port = (Security(before.imap_security), before.imap_port) if before else (None, 0)
    security = security or known_security or Security.TLS
    return SentMail(
        imap_host=host,
        imap_port=port if port is not None else known_port if known_security == security else IMAP_PORTS[security],
        imap_security=security,
        sent_folder=(before.sent_folder if before and folder is None else folder) or None,
    )


def ramp(row: Mailbox | None, start: int | None, step: int | None, today: date) -> Ramp | Literal["none"] | None:
    """The given ramp beside the mailbox's own; a new one begins today. start: 0: none. Raises Incomplete."""
    if start is None and step is None:
        return None
    if start == 0:
        return "none"
    start = row.ramp_start if start is None and row else start
    step = row.ramp_step if step is None and row else step
    if start is None or step is None:
        raise Incomplete(Message(gettext_noop("a ramp wants both its first day's number and its step")))
    return Ramp(start, step, (row.ramp_from if row else None) or today)


class DayInvalid(Exception):
    """The text is not a date, or the date cannot be meant."""


def day(text: str, today: date) -> date:
    """A day within a year; any other is a typing error. Raises DayInvalid."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        template = gettext_noop("%(text)s is not a date like %(today)s")
        raise DayInvalid(Message(template, text=repr(text[:40]), today=today)) from None
    if abs(found - today) > timedelta(days=366):
        raise DayInvalid(Message(gettext_noop("%(day)s is more than a year from today"), day=found))
    return found


def freeze_days(first: str, last: str, today: date) -> tuple[date, date]:
    """Check the first and last day of a freeze. Raises DayInvalid with the message and the field's name."""
    found = []
    for field, text in (("first", first), ("last", last)):
        try:
            found.append(day(text, today))
        except DayInvalid as error:
            raise DayInvalid(messages.of(error), field) from None
    if found[1] < today:
        raise DayInvalid(Message(gettext_noop("%(day)s is over"), day=found[1]), "last")
    return found[0], found[1]
