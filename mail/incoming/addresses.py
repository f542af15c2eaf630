"""Addresses in headers and texts of messages."""

import re
from email.utils import parseaddr

from mail.address import AddressInvalid, normalise
from mail.incoming.structure import Structure, readable

_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w.-]{1,253}\.[\w-]{2,63}")
_LONGEST = 1000  # characters of a header's value
# Local parts that no person writes from.
_DAEMON = re.compile(
    r"^(mailer-?daemon|mail-?daemon|post-?master|mail\.?system|microsoftexchange[0-9a-f]{8,}|mdaemon|mail-?delivery"
    r"|mail-?delivery-?subsystem|bounces?|mailadm(in)?|listserv|symantec_?.*|antispam)$"
)
_NO_REPLY = re.compile(r"^(no-?_?\.?reply|do-?_?not-?_?reply|nie-?odpowiadaj|noreply.*|no-reply.*|bez-?odpowiedzi)")


def sender(message: Structure) -> str:
    """The address in From, else in Sender; "" if neither has one."""
    return next((found for name in ("from", "sender") if (found := of(message.headers.get(name)))), "")


def of(value: str) -> str:
    """The address of a header's value, in the form in which addresses are compared."""
    value = value[:_LONGEST]
    return _first(value) or _first(readable(value))  # some programs encode the address too


def _first(value: str) -> str:
    try:
        address = parseaddr(value)[1]
    except (RecursionError, ValueError, IndexError):  # nested comments, broken groups
        address = ""
    return normalised(address) or normalised(next(iter(_ADDRESS.findall(value)), ""))


def normalised(address: str) -> str:
    address = address.strip().strip("<>").strip()
    try:
        return normalise(address)
    except AddressInvalid:
        # A local part beyond ASCII (RFC 6531). Without any, it would be a whole domain's suppression.
        return address.lower() if "@" in address[1:] else ""


_GMAIL = ("gmail.com", "googlemail.com")


def mailbox(address: str) -> str:
    """What the forms of one mailbox's address have in common: no "+tag", and at Gmail no dots (RFC 5233)."""
    name, _, domain = address.rpartition("@")
    name = name.partition("+")[0] or name
    return f"{name.replace('.', '')}@{_GMAIL[0]}" if domain in _GMAIL else f"{name}@{domain}"


def in_text(text: str) -> list[str]:
    """The addresses in a text, each once."""
    return list(dict.fromkeys(normalised(each) for each in _ADDRESS.findall(text)))


def is_daemon(address: str) -> bool:
    return _DAEMON.match(address.partition("@")[0]) is not None


def is_no_reply(address: str) -> bool:
    return _NO_REPLY.match(address.partition("@")[0]) is not None
