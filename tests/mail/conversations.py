"""Which letters of a mailbox a mail program shows as one conversation: Gmail, Outlook and Apple Mail.

Written from what is known of the programs, without mail/thread.py, which is tested against it. Read 2026-11:

Gmail: https://workspaceupdates.googleblog.com/2019/03/threading-changes-in-gmail-conversation-view.html and
https://developers.google.com/workspace/gmail/api/guides/threads. The subject is the same but for its prefix. References
name a letter of the conversation, or what its letters refer to; without References, the sender or the recipient is the
same and the letter is at most a week younger.

Outlook: MS-OXOMSG 2.2.1.2 and 2.2.1.3 (Thread-Index), MS-OXCMSG 2.2.1.9 (a prefix is one to three letters, a colon and
a space). The conversation is the GUID in Thread-Index, else the subject without its prefix. In-Reply-To and References
do not count, and a second letter with the same Thread-Index is no answer: freescout-help-desk/freescout#4922 and #5607,
git-multimail/git-multimail#192.

Apple Mail: its rules are not published. As RFC 5256 (REFERENCES) and https://www.jwz.org/doc/threading.html: letters
that share an id in Message-ID, References and In-Reply-To, whatever their subjects; a letter without these that begins
with "Re:" joins its subject. That it merges letters too readily is known: http://www.openradar.me/20149842.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from tests.mail import reader
from tests.mail.reader import Message

_PREFIX = re.compile(r"(?:re|r|fwd?)\s*:\s*", re.IGNORECASE)
_OUTLOOK_PREFIX = re.compile(r"[^\W\d_]{1,3}: ")
_ID = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True)
class Letter:
    """What a program sees of it."""

    id: str
    refers_to: tuple[str, ...]
    subject: str
    people: frozenset[str]  # sender and recipient
    date: datetime
    index: bytes

    @property
    def ids(self) -> frozenset[str]:
        return frozenset((self.id, *self.refers_to))


def seen(content: bytes, wire_id: str | None = None) -> Letter:
    """wire_id: the Message-ID that the provider put in its place."""
    message = reader.read(content)
    return Letter(
        id=wire_id or message["Message-ID"],
        refers_to=tuple(each for name in ("References", "In-Reply-To") for each in _ID.findall(_value(message, name))),
        subject=message.subject,
        people=frozenset({message.sender[1], message["To"]}),
        date=parsedate_to_datetime(message["Date"]),
        index=b64decode(_value(message, "Thread-Index")),
    )


def _value(message: Message, name: str) -> str:
    return dict(message.headers).get(name, "")


def gmail(letters: Sequence[Letter]) -> list[list[Letter]]:
    def belongs(letter: Letter, others: list[Letter]) -> bool:
        if _base(letter.subject) not in {_base(each.subject) for each in others}:
            return False
        if letter.refers_to:
            return any(set(letter.refers_to) & each.ids for each in others)
        return any(letter.people & each.people and letter.date - each.date <= timedelta(days=7) for each in others)

    return _grouped(letters, belongs)


def outlook(letters: Sequence[Letter]) -> list[list[Letter]]:
    def belongs(letter: Letter, others: list[Letter]) -> bool:
        return any(
            _conversation(letter) == _conversation(each) and not (letter.index and letter.index == each.index)
            for each in others
        )

    return _grouped(letters, belongs)


def apple(letters: Sequence[Letter]) -> list[list[Letter]]:
    def belongs(letter: Letter, others: list[Letter]) -> bool:
        if letter.refers_to or not _PREFIX.match(letter.subject):
            return any(letter.ids & each.ids for each in others)
        return _base(letter.subject) in {_base(each.subject) for each in others}

    return _grouped(letters, belongs)


PROGRAMS = {"Gmail": gmail, "Outlook": outlook, "Apple Mail": apple}


def _grouped(letters: Sequence[Letter], belongs: Callable[[Letter, list[Letter]], bool]) -> list[list[Letter]]:
    """In the order in which they came; one that belongs to two conversations makes them one."""
    found: list[list[Letter]] = []
    for letter in letters:
        its = [each for each in found if belongs(letter, each)]
        found = [each for each in found if each not in its]
        found.append([*(one for each in its for one in each), letter])
    return found


def _conversation(letter: Letter) -> bytes | str:
    if len(letter.index) >= 22 and letter.index[0] == 1:
        return letter.index[6:22]
    return _OUTLOOK_PREFIX.sub("", letter.subject, count=1)[:255].upper()


def _base(subject: str) -> str:
    while found := _PREFIX.match(subject):
        subject = subject[found.end() :]
    return " ".join(subject.split())
