"""A server's reply as it was read, at which point of the conversation, and whom it may be about."""

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
    QUIT = "quit"  # the dot was answered: nothing that happens now changes that


class Scope(StrEnum):
    LEAD = "lead"  # this address
    CONTENT = "content"  # this message
    CAMPAIGN = "campaign"  # its letter, which this mailbox's server takes from nobody: it is too large
    MAILBOX = "mailbox"  # the mailbox or its server: no lead is burnt for it
    UNCLEAR = "unclear"  # nobody can tell: no lead is burnt for it, and answers to others will show
    WORKER = "worker"  # our own side


@dataclass(frozen=True)
class Reply:
    code: int | None  # None: no reply was read, and the text says what happened instead
    enhanced: str | None  # "5.1.1"
    text: str
    instead: Reason | None = field(default=None, compare=False)  # of ours, where no reply was read: the text says it

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)


LONGEST_TEXT = 500
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def reply(code: int, text: str) -> Reply:
    """A reply as it was read, its enhanced code apart, its words cut and cleaned."""
    words = _CONTROL.sub(" ", text).strip()
    found = _ENHANCED.match(words)
    enhanced = found.group(1) if found else None
    rest = words[len(enhanced) :].strip() if enhanced else words
    return Reply(code, enhanced, rest[:LONGEST_TEXT])


def no_reply(why: Why) -> Reply:
    """What happened instead of a reply."""
    text = _CONTROL.sub(" ", str(why)).strip()[:LONGEST_TEXT]
    return Reply(None, None, text, why if isinstance(why, Reason) else None)
