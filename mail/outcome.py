"""What became of an attempt to send, as values: who is at fault, how far it got, and the server's own words.

One function maps a phase and a reply to an outcome (RFC 5321 section 4.2, enhanced codes of RFC 3463).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
    MAILBOX = "mailbox"  # the mailbox or its server: no lead is burnt for it
    WORKER = "worker"  # our own side


@dataclass(frozen=True)
class Reply:
    code: int | None  # None: no reply was read, and the text says what happened instead
    enhanced: str | None  # "5.1.1"
    text: str

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced, self.text) if part)


@dataclass(frozen=True, kw_only=True)
class _Timed:
    seconds: Mapping[Phase, float] = field(default_factory=dict, compare=False)  # that each phase took


@dataclass(frozen=True)
class Accepted(_Timed):
    """The server has taken responsibility (RFC 5321 section 6.1)."""

    reply: Reply


@dataclass(frozen=True)
class Deferred(_Timed):
    """Proved not sent; may be tried again."""

    scope: Scope
    phase: Phase
    reply: Reply


@dataclass(frozen=True)
class Refused(_Timed):
    """Proved not sent, and never to be tried again as it is."""

    scope: Scope
    phase: Phase
    reply: Reply


@dataclass(frozen=True)
class Unanswered(_Timed):
    """The final dot may have left, and no answer to it was read."""

    reason: str


@dataclass(frozen=True)
class Withdrawn(_Timed):
    """The hand-over was refused or could not be recorded: the connection was dropped before the dot."""

    reason: str


Outcome = Accepted | Deferred | Refused | Unanswered | Withdrawn

LONGEST_TEXT = 500
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

# The provider's limits and doors: never the lead's fault, in whatever phase they come.
_MAILBOX_CODES = frozenset({421, 454, 530, 534, 535, 538})
_PROVIDER_LIMIT = re.compile(r"^[45]\.(?:4\.5|1\.90|7\.57|7\.60|7\.64|7\.708)$")
_BEFORE_THE_LEAD = frozenset({Phase.CONNECT, Phase.TLS, Phase.AUTH, Phase.MAIL})


def reply(code: int, text: str) -> Reply:
    """A reply as it was read, its enhanced code apart, its words cut and cleaned."""
    words = _CONTROL.sub(" ", text).strip()
    found = _ENHANCED.match(words)
    enhanced = found.group(1) if found else None
    rest = words[len(enhanced) :].strip() if enhanced else words
    return Reply(code, enhanced, rest[:LONGEST_TEXT])


def no_reply(text: str) -> Reply:
    return Reply(None, None, _CONTROL.sub(" ", text).strip()[:LONGEST_TEXT])


def judge(phase: Phase, it: Reply) -> Outcome:
    """What an unwanted reply before the dot, or any reply to the dot, means."""
    if phase is Phase.DOT and it.code is not None and 200 <= it.code < 300:
        return Accepted(it)
    if phase is Phase.DOT and (it.code is None or not 400 <= it.code < 600):
        return Unanswered(f"the server's answer to the final dot cannot be understood: {it}")
    if _is_mailbox_fault(phase, it):
        return Deferred(Scope.MAILBOX, phase, it)
    assert it.code is not None
    scope = Scope.LEAD if phase is Phase.RCPT else Scope.CONTENT
    return Refused(scope, phase, it) if it.code >= 500 else Deferred(scope, phase, it)


def _is_mailbox_fault(phase: Phase, it: Reply) -> bool:
    if it.code is None or not 400 <= it.code < 600:
        return True  # a broken connection, or a server that does not speak SMTP
    if phase in _BEFORE_THE_LEAD or it.code in _MAILBOX_CODES:
        return True
    return it.enhanced is not None and _PROVIDER_LIMIT.match(it.enhanced) is not None
