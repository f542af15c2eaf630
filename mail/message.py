"""Builds the finished message (RFC 5322, MIME), and checks the result before it is used."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from mail import encoding, thread
from mail.address import AddressInvalid, on_the_wire
from mail.blank import is_blank, is_blank_html
from mail.thread import Thread
from mail.unsubscribe import Unsubscribe
from messages import Message, gettext_noop
from reasons import Code, Reason

# Some providers rewrite the Message-ID: with this header the copy in the Sent folder can still be found.
ID_HEADER = "X-Punktual-Id"
MESSAGE_ID_HEADER = "Message-ID"

# A test mail is marked for people, and for programs.
TEST_HEADER, TEST_PREFIX = "X-Punktual-Test", "[Test] "

LONGEST_SUBJECT = 500
LONGEST_NAME = 200

_BOUNDARY = "=_alternative"  # encoding.body writes no "=_" into any part

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_TEXT = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]")

# A finished message: ASCII lines with CRLF.
_LINES = re.compile(rb"(?:[\t -~]{0,998}\r\n)+")  # RFC 5322 section 2.1.1
_HEADERS = ("From", "To", "Subject", "Date", MESSAGE_ID_HEADER, ID_HEADER)
_MIME_HEADERS = ("MIME-Version", "Content-Type")
_ENCODED_WORDS = r"=\?utf-8\?[bq]\?[!->@-~]+\?=(?: =\?utf-8\?[bq]\?[!->@-~]+\?=)*"
_NAME = re.compile(rf'"[^"\\]*"|{_ENCODED_WORDS}')
_SUBJECT = re.compile(rf"(?!.*=\?).+|{_ENCODED_WORDS}")


class LetterInvalid(Exception):
    """No valid message can be built from this letter."""


class SenderInvalid(LetterInvalid):
    """No message can be sent from this mailbox: its address or name is wrong, whoever the lead is."""


@dataclass(frozen=True)
class Letter:
    sender_address: str
    sender_name: str
    recipient: str
    subject: str
    text: str
    html: str | None
    message_id: str  # with its angle brackets
    unsubscribe: Unsubscribe | None = None
    thread: Thread | None = None  # that it continues
    is_test: bool = False


def build(letter: Letter, date: datetime) -> bytes:
    """The message in ASCII with CRLF line ends. date: of this attempt, aware; written with its own offset."""
    _refuse_unfit(letter)
    headers = [
        encoding.mailbox("From", letter.sender_name, _address(letter.sender_address)),
        encoding.mailbox("To", "", _address(letter.recipient)),
        encoding.unstructured("Subject", f"{TEST_PREFIX if letter.is_test else ''}{letter.subject}"),
        f"Date: {format_datetime(date)}",
        f"{MESSAGE_ID_HEADER}: {letter.message_id}",
        f"{ID_HEADER}: {own_id(letter.message_id)}",
        *(encoding.spaced(name, values) for name, values in thread.headers(letter.message_id, letter.thread)),
        *(encoding.listed(name, values) for name, values in _list_headers(letter)),
        *([f"{TEST_HEADER}: yes"] if letter.is_test else []),
        "MIME-Version: 1.0",
    ]
    content = "\r\n".join([*headers, _parts(letter)]).encode("ascii")
    check_finished(content, letter)
    return content


def check(letter: Letter) -> None:
    """Raise what build() would for this letter, without building it.

    What build() writes is in its form by construction; check_finished() only makes sure.
    """
    _refuse_unfit(letter)
    _address(letter.recipient)


def _list_headers(letter: Letter) -> list[tuple[str, list[str]]]:
    return list(letter.unsubscribe.headers()) if letter.unsubscribe else []


def own_id(message_id: str) -> str:
    """The value of our own header: the part of the Message-ID that is unique across installations."""
    return message_id.strip("<>").partition("@")[0]


def _parts(letter: Letter) -> str:
    text = _part("plain", letter.text)
    if letter.html is None:
        return text
    # The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1), so each part keeps its own.
    return (
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\n'
        f"\r\n--{_BOUNDARY}\r\n{text}\r\n--{_BOUNDARY}\r\n{_part('html', letter.html)}\r\n--{_BOUNDARY}--\r\n"
    )


def _part(kind: str, text: str) -> str:
    transfer_encoding, body = encoding.body(text)
    return f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {transfer_encoding}\r\n\r\n{body}"


def _refuse_unfit(letter: Letter) -> None:
    _refuse_unfit_sender(letter)
    for name in ("recipient", "subject"):
        refuse_control_characters(name, getattr(letter, name))
    for name in ("text", "html"):
        refuse_control_characters(name, getattr(letter, name) or "", lines=True)
    if len(letter.subject) > LONGEST_SUBJECT + (len(thread.PREFIX) if letter.thread else 0):
        raise LetterInvalid(Reason(Code.SUBJECT_TOO_LONG, most=LONGEST_SUBJECT))
    for name in ("subject", "text"):
        if is_blank(getattr(letter, name)):
            raise LetterInvalid(Reason(Code.PART_EMPTY, part=name))
    if letter.html is not None and is_blank_html(letter.html):
        raise LetterInvalid(Reason(Code.HTML_EMPTY))


def _refuse_unfit_sender(letter: Letter) -> None:
    try:
        for name in ("sender_address", "sender_name"):
            refuse_control_characters(name.replace("_", " "), getattr(letter, name))
        _address(letter.sender_address)
    except LetterInvalid as error:
        raise SenderInvalid(*error.args) from None


def check_sender_name(name: str) -> None:
    """Raise LetterInvalid unless it is a valid display name; "": none."""
    refuse_control_characters("name", name)
    if name and is_blank(name):
        raise LetterInvalid(Message(gettext_noop("the name has no visible character; leave it empty if there is none")))
    if len(name) > LONGEST_NAME:
        raise LetterInvalid(Message(gettext_noop("the name is longer than %(most)d characters"), most=LONGEST_NAME))


def _address(address: str) -> str:
    try:
        found = on_the_wire(address)
    except AddressInvalid as error:
        raise LetterInvalid(f"{address!r} cannot be used in a header: {error}") from None
    if "=?" in found:
        # Addresses must not contain encoded words, and some readers decode what looks like one.
        raise LetterInvalid(
            f"{address!r} cannot be used in a header: programs may take =? for the start of an encoded word"
        )
    return found


def refuse_control_characters(name: str, value: str, *, lines: bool = False) -> None:
    """Raise LetterInvalid for control characters: they allow header injection. lines: allow tabs and line breaks."""
    if found := control_character(value, lines=lines):
        raise LetterInvalid(Reason(Code.CONTROL_CHARACTER, part=name, character=ascii(found[0])))


def control_character(value: str, *, lines: bool) -> re.Match[str] | None:
    return (_CONTROL_IN_TEXT if lines else _CONTROL).search(value)


def check_finished(content: bytes, letter: Letter) -> None:
    """Raise LetterInvalid unless it has exactly our headers and parts, and the letter's sender, recipient and id.

    Independent of the code that built the message, which contains untrusted data.
    """
    if not _LINES.fullmatch(content):
        raise LetterInvalid(Reason(Code.FINISHED_LINE))
    head, _, rest = content.decode("ascii").partition("\r\n\r\n")
    fields = [field.partition(": ")[::2] for field in head.replace("\r\n ", " ").split("\r\n")]
    listed = {name: " ".join(parts) for name, parts in thread.headers(letter.message_id, letter.thread)}
    listed |= {name: ", ".join(parts) for name, parts in _list_headers(letter)}
    marks = (TEST_HEADER,) if letter.is_test else ()
    ending = ("Content-Transfer-Encoding",) if letter.html is None else ()
    if tuple(name for name, _ in fields) != (*_HEADERS, *listed, *marks, *_MIME_HEADERS, *ending):
        raise LetterInvalid(Reason(Code.FINISHED_HEADERS))
    values = dict(fields)
    if not (
        _is_sender(values["From"], letter)
        and values["To"] == _address(letter.recipient)
        and values[MESSAGE_ID_HEADER] == letter.message_id
        and listed.items() <= values.items()
        and _SUBJECT.fullmatch(values["Subject"])
    ):
        raise LetterInvalid(Reason(Code.FINISHED_FIELDS))
    delimiters = [] if letter.html is None else [f"--{_BOUNDARY}", f"--{_BOUNDARY}", f"--{_BOUNDARY}--"]
    if [line for line in rest.split("\r\n") if line.startswith("--=_")] != delimiters:
        raise LetterInvalid(Reason(Code.FINISHED_PARTS))


def _is_sender(value: str, letter: Letter) -> bool:
    address = _address(letter.sender_address)
    if not letter.sender_name:
        return value == address
    return value.endswith(f" <{address}>") and bool(_NAME.fullmatch(value.removesuffix(f" <{address}>")))
