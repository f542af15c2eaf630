"""Counts outcomes of attempts. Labels have few values known in advance; servers' codes are reduced to such."""

from typing import NamedTuple, assert_never

from prometheus_client import Histogram

from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Unanswered, Withdrawn, no_reply
from ops.watch import metrics

PHASES = tuple(phase for phase in Phase if phase not in (Phase.COMPOSE, Phase.QUIT))
NAMES = (
    ("accepted", "none"),
    *(("deferred", scope) for scope in Scope),
    *(("refused", scope) for scope in (Scope.LEAD, Scope.CONTENT)),
    ("unanswered", "none"),
    ("withdrawn", "none"),
)
for _name in NAMES:
    metrics.OUTCOMES.labels(*_name)
# What is wrong with the mailbox may also show while its letter is composed.
_CLOSING_PHASES = (Phase.COMPOSE, *PHASES)
for _phase in _CLOSING_PHASES:
    metrics.MAILBOX_CLOSURES.labels(_phase)
_SECONDS: dict[Phase, Histogram] = {phase: metrics.SMTP_PHASE.labels(phase) for phase in PHASES}

# Subject -> the highest detail in RFC 3463 and IANA's registry.
_HIGHEST_DETAIL = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}


class LastReply(NamedTuple):
    """The last reply of an attempt; without a code if none was read."""

    phase: Phase
    reply: Reply


def conversed(outcome: Outcome) -> None:
    """Count the server's answer and its times, whether or not it can be recorded."""
    for phase, seconds in outcome.seconds.items():
        _SECONDS[phase].observe(seconds)
    if (last := _last_reply(outcome)) and last.phase in PHASES:
        metrics.SMTP_REPLIES.labels(last.phase, code(last.reply), enhanced(last.reply)).inc()


def recorded(outcome: Outcome) -> None:
    """Count the outcome; called after its move is committed."""
    scope = outcome.scope if isinstance(outcome, Deferred | Refused) else "none"
    metrics.OUTCOMES.labels(type(outcome).__name__.lower(), scope).inc()


def code(it: Reply) -> str:
    return str(it.code) if it.code is not None and 200 <= it.code < 600 else "none"


def enhanced(it: Reply) -> str:
    if it.enhanced is None:
        return "none"
    kind, subject, detail = map(int, it.enhanced.split("."))
    known = kind in (2, 4, 5) and detail <= _HIGHEST_DETAIL.get(subject, -1)
    return f"{kind}.{subject}.{detail}" if known else "other"


def _last_reply(outcome: Outcome) -> LastReply | None:
    match outcome:
        case Accepted(reply):
            return LastReply(Phase.DOT, reply)
        case Deferred(Scope.WORKER, _, _) | Withdrawn():
            return None
        case Deferred(_, phase, reply) | Refused(_, phase, reply):
            return LastReply(phase, reply)
        case Unanswered(reason):
            return LastReply(Phase.DOT, no_reply(reason))
    assert_never(outcome)
