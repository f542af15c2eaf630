"""The outcome of a conversation with a mailbox's server, as it is stored."""

from typing import assert_never

from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Unanswered, Withdrawn
from models.email.attempts import Conversation
from models.states import Result


def conversation_of(outcome: Outcome) -> Conversation:
    seconds = {str(phase): round(took, 3) for phase, took in outcome.seconds.items()}
    match outcome:
        case Accepted(it):
            return Conversation(Result.ACCEPTED, Phase.DOT, None, it.code, it.enhanced, it.text, seconds, it.instead)
        case Deferred(scope, phase, it):
            return Conversation(Result.DEFERRED, phase, scope, it.code, it.enhanced, it.text, seconds, it.instead)
        case Refused(scope, phase, it):
            return Conversation(Result.REFUSED, phase, scope, it.code, it.enhanced, it.text, seconds, it.instead)
        case Unanswered():
            return Conversation(Result.UNANSWERED, Phase.DOT, seconds=seconds)
        case Withdrawn():
            return Conversation(Result.WITHDRAWN, Phase.BODY, seconds=seconds)
    assert_never(outcome)
