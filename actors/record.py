"""Records what became of an attempt: one move for each outcome, and a pause for a mailbox that does not work."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from random import random
from typing import assert_never

import clock
import config
from actors.hint import hint_if_soon
from mail.outcome import Accepted, Deferred, Outcome, Refused, Reply, Scope, Unanswered, Withdrawn
from models import database, emails, mailboxes, plans
from models.claims import Claim
from models.emails import Detail
from models.hints import Hint
from ops import logs
from scheduling import backoff

log = logs.get()

# How long an answer is held in memory while the database is away.
_KEEP_TRYING_SECONDS = 60.0


def record(claim: Claim, outcome: Outcome) -> None:
    match outcome:
        case Accepted(reply):
            move = partial(emails.accept, claim.held, _detail(claim, outcome, reply))
        case Deferred(Scope.MAILBOX, _, reply):
            move = partial(_close_mailbox, claim, outcome, reply)
        case Deferred(Scope.WORKER, _, reply):
            move = partial(emails.release, claim.held, reply.text, _detail(claim, outcome, reply))
        case Deferred(_, _, reply):
            move = partial(_try_again, claim, outcome, reply)
        case Refused(_, _, reply):
            move = partial(emails.reject, claim.held, str(reply), _detail(claim, outcome, reply))
        case Unanswered(reason):
            move = partial(emails.doubt, claim.held, reason)
        case Withdrawn():
            move = partial(emails.release, claim.held, "withdrawn before the hand-over")
        case _:
            assert_never(outcome)
    held = _insist(move)
    log.info(
        "attempt_recorded" if held else "attempt_superseded",
        email_id=claim.held.email_id,
        campaign_id=claim.campaign_id,
        mailbox_id=claim.mailbox_id,
        outcome=type(outcome).__name__.lower(),
        late_seconds=round((claim.started_at - claim.scheduled_at).total_seconds(), 3),
    )


def _try_again(claim: Claim, outcome: Deferred, reply: Reply) -> bool:
    attempt, rules = claim.attempts + 1, config.settings().sending
    detail = _detail(claim, outcome, reply)
    if attempt >= rules.max_attempts:
        return emails.reject(claim.held, f"gave up after {attempt} attempts: {reply}", detail)
    moment = plans.retry_moment(claim.held.email_id, not_before=clock.now() + _pause(attempt - 1))
    if not emails.retry(claim.held, moment, str(reply), detail):
        return False
    hint_if_soon(Hint(claim.held.email_id, moment))
    return True


def _close_mailbox(claim: Claim, outcome: Deferred, reply: Reply) -> bool:
    """The mailbox's fault is not the lead's: close the one, give the other back."""
    until = mailboxes.close(claim.mailbox_id, str(reply), _pause)
    log.warning("mailbox_closed", mailbox_id=claim.mailbox_id, until=until.isoformat(), phase=outcome.phase)
    return emails.release(claim.held, f"mailbox: {reply}", _detail(claim, outcome, reply))


def _pause(before: int) -> timedelta:
    """before: how many attempts or faults came one after the other before this one."""
    rules = config.settings().sending
    draw = random()  # noqa: S311  # spreads retries, hides nothing
    return backoff.delay(before, rules.retry_first_seconds, rules.retry_factor, rules.retry_cap_seconds, draw)


def _detail(claim: Claim, outcome: Accepted | Deferred | Refused, reply: Reply) -> Detail:
    detail = {"code": reply.code, "enhanced": reply.enhanced, "reply": reply.text}
    if not isinstance(outcome, Accepted):
        detail |= {"scope": outcome.scope, "phase": outcome.phase}
    return detail


def _insist(move: Callable[[], bool]) -> bool:
    """Make the move even if the database goes away for a while. Asking twice is harmless: the guard holds once."""
    until = clock.boottime() + _KEEP_TRYING_SECONDS
    while True:
        try:
            return move()
        except database.UNREACHABLE:
            database.close()
            if clock.boottime() > until:
                raise
            threading.Event().wait(0.5)
