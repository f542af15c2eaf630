"""A server's reply, the phase of the conversation, and whom a reply can be about."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from reasons import Reason, Why


class Phase(StrEnum):
    COMPOSE = "compose"
    CONNECT = "connect"  # up to the greeting and EHLO
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    QUIT = "quit"  # after the answer to the dot: changes nothing any more


class Scope(StrEnum):
    LEAD = "lead"  # this address
    CONTENT = "content"  # this message
    CAMPAIGN = "campaign"  # the campaign's letter is too large for this mailbox's server
    MAILBOX = "mailbox"  # the mailbox or its server: the lead is not used up
    UNCLEAR = "unclear"  # unclear: the lead is not used up; answers to other leads will decide
    WORKER = "worker"  # our side


@dataclass(frozen=True)
class Reply:
    code: int | None  # None: no reply was read; the text says what happened instead
    enhanced: str | None  # "5.1.1"
    text: str
    instead: Reason | None = field(default=None, compare=False)  # what happened without a reply, or what a reply means

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)


LONGEST_TEXT = 500
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def reply(code: int, text: str) -> Reply:
    """Parse a reply: splits off the enhanced code, shortens and cleans the text."""
    words = _CONTROL.sub(" ", text).strip()
    found = _ENHANCED.match(words)
    enhanced = found.group(1) if found else None
    rest = words[len(enhanced) :].strip() if enhanced else words
    return Reply(code, enhanced, rest[:LONGEST_TEXT])


def no_reply(why: Why) -> Reply:
    """A Reply for what happened instead of one."""
    text = _CONTROL.sub(" ", str(why)).strip()[:LONGEST_TEXT]
    return Reply(None, None, text, why if isinstance(why, Reason) else None)
