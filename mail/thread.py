"""The conversation that a letter begins or continues: its headers, and the subject of a follow-up without its own.

Gmail, Outlook and Apple Mail each group by something else; tests/mail/conversations.py has their rules, with sources.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from mail import encoding

HEADERS = IN_REPLY_TO, REFERENCES, INDEX = "In-Reply-To", "References", "Thread-Index"
PREFIX = "Re: "  # RFC 5322 section 3.6.5

# What mail programs write before the subject that they answer. With one of these, another one is not added.
_ANSWERS = re.compile(r"\s*(?:re|odp|aw|antw|sv|vs|ref|res|rif|r)\s*(?:\[\d+\]|\(\d+\))?\s*[:\uff1a]", re.IGNORECASE)
# Stands before the id of the first letter. Nobody has a message with that id.
_OF_A_THREAD = "<thread."
# A provider may have changed a Message-ID. What else it may have made of it has no place in a header.
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_SUBJECT = re.compile(rb"^Subject: ([^\r\n]*(?:\r\n [^\r\n]*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Thread:
    """The letters before a follow-up."""

    first_id: str  # the Message-ID that we gave its first letter
    subject: str  # of its first letter, as sent: see subject_of()
    message_ids: tuple[str, ...]  # of its letters, the oldest first, as they are known to have gone over the wire

    @property
    def answer(self) -> str:
        """The subject of a follow-up that has none of its own."""
        return self.subject if _ANSWERS.match(self.subject) else PREFIX + self.subject


def headers(message_id: str, thread: Thread | None) -> Iterator[tuple[str, list[str]]]:
    """The headers of a thread: name, and values that a space separates. thread: None if this letter begins one.

    Every letter of a thread refers to the same id, which is no message's. So mail programs keep the thread together
    where a provider changed a Message-ID, and the first letters of two threads apart although their subject is the
    same (https://workspaceupdates.googleblog.com/2019/03/threading-changes-in-gmail-conversation-view.html).
    """
    before = [each for each in thread.message_ids if _MESSAGE_ID.fullmatch(each)] if thread else []
    if before:
        yield IN_REPLY_TO, before[-1:]
    first_id = thread.first_id if thread else message_id
    yield REFERENCES, [id_of(first_id), *before]  # RFC 5322 section 3.6.4
    yield INDEX, [_index(first_id, len(thread.message_ids) if thread else 0)]


def id_of(first_id: str) -> str:
    """The id to which every letter of a thread refers. first_id: the Message-ID of its first letter."""
    return _OF_A_THREAD + first_id.removeprefix("<")


def first_of(thread_id: str) -> str | None:
    """The Message-ID of the first letter of a thread. None: the id is not a thread's."""
    return "<" + thread_id.removeprefix(_OF_A_THREAD) if thread_id.startswith(_OF_A_THREAD) else None


def subject_of(content: bytes) -> str | None:
    """The subject of one of our letters as it was sent. content: it, or the beginning of it."""
    found = _SUBJECT.search(content)
    return encoding.decoded(found[1].decode("ascii")) if found else None


def _index(first_id: str, place: int) -> str:
    """Outlook's place in a conversation (MS-OXOMSG 2.2.1.3): a header without a time, as in MS-OXOCFG 2.2.8.8, and the
    thread's id; for a follow-up one level, as an answer to the first letter.

    Not one level more for each letter: spam filters distrust long ones (SpamAssassin's THREAD_INDEX_BAD).
    """
    begins = bytes([1, 0, 0, 0, 0, 0]) + sha256(first_id.encode()).digest()[:16]
    return b64encode(begins + (place.to_bytes(4, "big") + b"\0" if place else b"")).decode()
