"""Outcomes of an attempt, as values: who is at fault, the phase reached, and the server's own words.

One function maps a phase and a reply to an outcome (RFC 5321 section 4.2, enhanced codes of RFC 3463).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mail import answers
from mail.reply import Phase as Phase
from mail.reply import Reply as Reply
from mail.reply import Scope as Scope
from mail.reply import no_reply as no_reply
from mail.reply import reply as reply
from reasons import Code, Reason, Why


@dataclass(frozen=True, kw_only=True)
class _Timed:
    seconds: Mapping[Phase, float] = field(default_factory=dict, compare=False)  # by phase


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

    reason: Why


@dataclass(frozen=True)
class Withdrawn(_Timed):
    """The hand-over was refused or not recorded, so the connection was dropped before the dot."""

    reason: Why


Outcome = Accepted | Deferred | Refused | Unanswered | Withdrawn

# Codes for trouble with the server or the login, in any phase.
_MAILBOX_CODES = frozenset({421, 454, 530, 534, 535, 538})
# The server has lost track of the conversation: "503 no valid recipients" says nothing of the recipient.
_OUT_OF_STEP = frozenset({502, 503, 504})
_BEFORE_THE_LEAD = frozenset({Phase.CONNECT, Phase.TLS, Phase.AUTH, Phase.MAIL})


def judge(phase: Phase, it: Reply, sender: str = "", recipient: str = "") -> Outcome:
    """Classify an unwanted reply before the dot, or any reply to the dot.

    Only a reply clearly about this recipient or this message fails an e-mail: see mail.answers. sender, recipient: the
    addresses as sent to the server, which the reply may quote.
    """
    if phase is Phase.DOT and it.code is not None and 200 <= it.code < 300:
        return Accepted(it)
    if phase is Phase.DOT and (it.code is None or not 400 <= it.code < 600):
        return Unanswered(Reason(Code.ANSWER_UNCLEAR, answer=str(it)))
    scope, passes = _whose(phase, it, sender, recipient)
    assert it.code is not None or scope is Scope.MAILBOX
    if it.code is not None and it.code >= 500 and scope in (Scope.LEAD, Scope.CONTENT) and not passes:
        return Refused(scope, phase, it)
    return Deferred(scope, phase, it)


def _whose(phase: Phase, it: Reply, sender: str, recipient: str) -> tuple[Scope, bool]:
    """Whom the reply is about, and whether it is temporary even if the code is permanent."""
    if it.code is None or not 400 <= it.code < 600:
        return Scope.MAILBOX, True  # a broken connection, or not an SMTP server
    known = answers.find(it)
    if known is not None and known.scope is Scope.CAMPAIGN:
        return Scope.CAMPAIGN, True
    if phase in _BEFORE_THE_LEAD or it.code in _MAILBOX_CODES:
        return Scope.MAILBOX, True
    if known is None or it.code in _OUT_OF_STEP:
        return Scope.UNCLEAR, True
    if known.scope is Scope.LEAD and not known.passes and answers.names_the_sender(it, sender, recipient):
        return Scope.UNCLEAR, True  # "Account ola@sender.example is disabled" is not about the lead
    return known.scope, known.passes
