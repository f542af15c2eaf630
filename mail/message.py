"""Builds the message as it goes over the wire, with the standard library (RFC 5322, MIME)."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mail.address import AddressInvalid, on_the_wire

# Some providers rewrite the Message-ID: this header finds the mail again in a Sent folder all the same.
ID_HEADER = "X-Punktual-Id"
MESSAGE_ID_HEADER = "Message-ID"

LONGEST_SUBJECT = 500
LONGEST_NAME = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")
# The standard library decodes these where they stand in a header's value, line breaks in them included.
_ENCODED_WORD = re.compile(r"=\?.*?\?.*?\?.*?\?=")

# 7-bit on the wire, whatever the server offers: quoted-printable or base64 where it is needed.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=78)


class LetterInvalid(Exception):
    """A letter that no message can be made of."""


@dataclass(frozen=True)
class Letter:
    sender_address: str
    sender_name: str
    recipient: str
    subject: str
    text: str
    html: str | None
    message_id: str  # with its angle brackets


def build(letter: Letter, date: datetime) -> bytes:
    """The message with CRLF line ends. date: of this attempt, aware."""
    for name in ("sender_address", "sender_name", "recipient", "subject"):
        check_header(name.replace("_", " "), getattr(letter, name))
    for name in ("text", "html"):
        refuse_control_characters(name, getattr(letter, name) or "", lines=True)
    if len(letter.subject) > LONGEST_SUBJECT:
        raise LetterInvalid(f"the subject is longer than {LONGEST_SUBJECT} characters")
    message = EmailMessage(_POLICY)
    message["From"] = _address(letter.sender_name, letter.sender_address)
    message["To"] = _address("", letter.recipient)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(date)
    message[MESSAGE_ID_HEADER] = letter.message_id
    message[ID_HEADER] = own_id(letter.message_id)
    message.set_content(letter.text)
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html")
    return message.as_bytes()


def own_id(message_id: str) -> str:
    """What the own header carries: the part of the Message-ID that no other e-mail of any installation has."""
    return message_id.strip("<>").partition("@")[0]


def check_header(name: str, value: str) -> None:
    """Raise LetterInvalid where a header with this value would say something else, or begin another one."""
    refuse_control_characters(name, value)
    if _ENCODED_WORD.search(value):
        raise LetterInvalid(f"the {name} has an encoded word (=?…?=), which is no text for people")


def check_sender_name(name: str) -> None:
    check_header("name", name)
    if len(name) > LONGEST_NAME:
        raise LetterInvalid(f"the name is longer than {LONGEST_NAME} characters")


def _address(name: str, address: str) -> Address:
    try:
        return Address(name, addr_spec=on_the_wire(address))
    except (AddressInvalid, ValueError, IndexError) as error:
        raise LetterInvalid(f"{address!r} cannot stand in a header: {error}") from None


def refuse_control_characters(name: str, value: str, *, lines: bool = False) -> None:
    """In a header a line break would begin another one. lines: it is a text, and may have tabs and line breaks."""
    if found := (_CONTROL_IN_TEXT if lines else _CONTROL).search(value):
        raise LetterInvalid(f"the {name} has a control character ({found[0]!a})")
