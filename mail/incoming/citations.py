"""The Message-IDs that a message names, the most trustworthy first."""

import re
from collections.abc import Iterable, Iterator

from mail import thread
from mail.incoming.result import Citation
from mail.incoming.structure import Headers, Part, Structure, headers_of
from mail.message import ID_HEADER

_ID = re.compile(r"<[^<>\s]{3,500}>")
_OWN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# In a returned message that stands in the text of a bounce, or in one that cannot be read as headers.
_ID_LINE = re.compile(rb"^[>\s]{0,4}(message-id|x-punktual-id)\s{0,3}:\s{0,6}(\S{3,500})", re.IGNORECASE | re.MULTILINE)
_MOST = 50

_RETURNED = (
    *("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "message/partial"),
    *("message/rfc822-headers", "text/rfc822-header", "text/rfc822"),  # as some servers write them
)


def of_reply(message: Structure) -> tuple[Citation, ...]:
    """In-Reply-To, then References from the nearest to the farthest, then the first of the thread and our own header.

    What names only our thread answers a letter whose Message-ID was changed on its way.
    """
    headers = message.headers
    referred = [each for value in headers.all("references") for each in _ID.findall(value)[::-1]]
    found = [
        *(Citation(each, "In-Reply-To") for value in headers.all("in-reply-to") for each in _ID.findall(value)),
        *(Citation(each, "References") for each in referred),
        *(Citation(first, "References") for each in referred if (first := thread.first_of(each))),
        *_own(headers),
    ]
    return _once(found)


def of_report(message: Structure) -> tuple[Citation, ...]:
    """Of the returned message: its Message-ID and our own header. What that one refers to in turn is not ours."""
    return _once([*of_reply(message), *_returned(message)])


def of_complaint(message: Structure) -> tuple[Citation, ...]:
    """The last Message-ID counts: those who pass a letter on for the report put theirs before it."""
    return _once([*list(_returned(message))[::-1], *of_reply(message)])


def returned(message: Structure) -> list[Part]:
    return message.of_type(*_RETURNED)


def _returned(message: Structure) -> Iterator[Citation]:
    for part in returned(message):
        headers = headers_of(part.content)
        ids = [Citation(each, "Message-ID") for value in headers.all("message-id") for each in _ID.findall(value)]
        found = [*ids, *_own(headers)]
        yield from found or _in_text(part.content)
    if not returned(message):
        for part in message.parts:
            if part.type.startswith("text/"):
                yield from _in_text(part.content)


def _in_text(content: bytes) -> Iterator[Citation]:
    for name, value in _ID_LINE.findall(content):
        text = value.decode("ascii", "replace")
        if name.lower() == b"message-id":
            yield from (Citation(each, "Message-ID") for each in _ID.findall(text))
        elif _OWN_ID.fullmatch(text):
            yield Citation(text.lower(), ID_HEADER)


def _own(headers: Headers) -> list[Citation]:
    return [Citation(each.lower(), ID_HEADER) for value in headers.all(ID_HEADER) for each in _OWN_ID.findall(value)]


def _once(found: Iterable[Citation]) -> tuple[Citation, ...]:
    first: dict[str, Citation] = {}
    for each in found:
        first.setdefault(each.message_id, each)
    return tuple(first.values())[:_MOST]
