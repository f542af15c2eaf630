"""Records what became of an attempt: one move for each outcome, and a pause for a mailbox that does not work."""

import threading
from datetime import datetime, timedelta
from random import random
from typing import assert_never

import clock
import config
from actors import tally
from actors.disk import journal
from actors.disk.identity import this_worker
from actors.disk.journal import Unrecordable
from actors.hint import hint_if_soon
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Reply, Scope, Unanswered, Withdrawn
from models.email import blame, moves, stuck
from models.email.attempts import Conversation
from models.email.claims import Attempt, Claim
from models.email.hints import Hint
from models.email.locks import NoSuchEmail
from models.owner import campaigns, mailboxes
from models.planning import plans
from models.states import Result
from models.store import database
from ops.watch import logs, metrics
from reasons import Code, Reason
from scheduling import backoff

log = logs.get()

# How long the database may be away before the outcome goes to the journal.
_KEEP_TRYING_SECONDS = 10.0


def record(claim: Claim, outcome: Outcome) -> None:
    """Record what became of an attempt; what is proved survives an outage of the database, in the journal."""
    # An unanswered dot proves nothing: the lease comes to the same end without it.
    if isinstance(outcome, Unanswered):
        _tell(move(claim, outcome), claim, outcome)
    else:
        _insist(claim, outcome)
    # Not before: between a server's answer and its record nothing else is done that could fail or take time.
    tally.conversed(outcome)


def merge_journal() -> None:
    """What an outage left in the journal comes before any new claim of this machine."""
    journal.merge(_record_late)


def retry_refused() -> None:
    """What the database has refused to record is not given up."""
    journal.retry_refused(_record_late)


def move(attempt: Attempt, outcome: Outcome) -> bool:
    """The one move that an outcome means. False: the mail is no longer this attempt's."""
    held, told = attempt.held, conversation(outcome)
    match outcome:
        case Accepted():
            return moves.accept(held, told)
        case Deferred(Scope.MAILBOX):
            return _close_mailbox(attempt, told)
        case Deferred(Scope.WORKER):
            return moves.release(held, told.reason, told)
        case Deferred(Scope.CAMPAIGN):
            return _close_to_its_letter(attempt, told)
        case Deferred(Scope.UNCLEAR | Scope.CONTENT, _, reply) | Refused(_, _, reply) if since := _blamed(
            attempt, outcome, reply
        ):
            return _close_mailbox(attempt, told, since)
        case Deferred():
            return _try_again(attempt, outcome)
        case Refused():
            return moves.reject(held, told, mailbox_works=_proves_mailbox(outcome))
        case Unanswered(reason):
            return moves.doubt(held, reason, told)
        case Withdrawn(reason):
            return moves.release(held, reason, told)
    assert_never(outcome)


def conversation(outcome: Outcome) -> Conversation:
    """What the rows keep of it."""
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


def _record_late(attempt: Attempt, outcome: Outcome) -> None:
    try:
        held = move(attempt, outcome)
    except NoSuchEmail:
        held = False  # the database was put back to before its plan, and a person has let that stand
    except Exception as failure:
        if database.is_outage(failure):
            raise
        _told_as_bug(attempt, outcome)
        _hold(attempt)
        raise Unrecordable from failure
    _tell(held, attempt, outcome)


def _hold(attempt: Attempt) -> None:
    """Until its outcome is recorded nobody may take its mail for abandoned, and converse about it again."""
    try:
        stuck.hold(attempt.held, this_worker())
    except database.FAILURES as failure:
        if database.is_outage(failure):
            raise
        log.exception("claim_not_held", email_id=attempt.held.email_id)


def _told_as_bug(attempt: Attempt, outcome: Outcome) -> None:
    """Called where an exception is handled that is no outage."""
    log.exception("outcome_not_recorded", email_id=attempt.held.email_id, outcome=type(outcome).__name__.lower())
    metrics.RECORDS_REFUSED.inc()


def _tell(held: bool, attempt: Attempt, outcome: Outcome) -> None:
    """Of what was recorded its move has told the log already."""
    if held:
        tally.recorded(outcome)
    else:
        _log("attempt_superseded", attempt, outcome)


def _log(event: str, attempt: Attempt, outcome: Outcome) -> None:
    log.warning(
        event,
        email_id=attempt.held.email_id,
        campaign_id=attempt.campaign_id,
        mailbox_id=attempt.mailbox_id,
        outcome=type(outcome).__name__.lower(),
    )


def _try_again(attempt: Attempt, outcome: Deferred) -> bool:
    number, rules = attempt.attempts + 1, config.settings().sending
    held, told, works = attempt.held, conversation(outcome), _proves_mailbox(outcome)
    age, most = moves.put_off_for(held.email_id), timedelta(days=rules.give_up_after_days)
    if backoff.is_given_up(number, age, most):
        why = Reason(Code.GAVE_UP, attempts=number, days=age.days, because=told.instead or told.answer)
        return moves.reject(held, told, why, mailbox_works=works)
    moment = plans.retry_moment(held.email_id, not_before=clock.now() + _pause(number - 1))
    if not moves.retry(held, moment, told, mailbox_works=works):
        return False
    hint_if_soon(Hint(held.email_id, moment))
    return True


def _blamed(attempt: Attempt, outcome: Deferred | Refused, reply: Reply) -> datetime | None:
    """From when on such refusals were the mailbox's fault. None: nothing says that they are."""
    if reply.code is None:
        return None
    judged = blame.judge(attempt.held.email_id, attempt.mailbox_id, outcome.scope, reply.code, reply.enhanced)
    return judged.since if judged.is_the_mailboxes else None


def _close_to_its_letter(attempt: Attempt, told: Conversation) -> bool:
    paused = campaigns.close_to_its_letter(attempt.held, told)
    if paused is None:
        return False
    log.warning("letter_too_large", campaign_id=attempt.campaign_id, mailbox_id=attempt.mailbox_id, paused=paused)
    return True


def _close_mailbox(attempt: Attempt, told: Conversation, blamed_from: datetime | None = None) -> bool:
    """The mailbox's fault is not the lead's: close the one, give the other back."""
    until = mailboxes.close_after(attempt.held, told, _pause, blamed_from)
    if until is None:
        return False
    log.warning("mailbox_closed", mailbox_id=attempt.mailbox_id, until=until.isoformat(), phase=told.phase)
    metrics.MAILBOX_CLOSURES.labels(told.phase).inc()
    return True


def _proves_mailbox(outcome: Deferred | Refused) -> bool:
    """An answer to the dot that plainly blames lead or content. One to RCPT is none: a limit may still follow it."""
    return outcome.phase is Phase.DOT and outcome.scope in (Scope.LEAD, Scope.CONTENT)


def _pause(before: int) -> timedelta:
    """before: how many attempts or faults came one after the other before this one."""
    rules = config.settings().sending
    draw = random()  # noqa: S311  # spreads retries, hides nothing
    return backoff.delay(before, rules.retry_first_seconds, rules.retry_factor, rules.retry_cap_seconds, draw)


def _insist(claim: Claim, outcome: Outcome) -> None:
    """Record it in the database, or else in the journal, whatever is raised. Asking twice is harmless."""
    until = clock.boottime() + _KEEP_TRYING_SECONDS
    while True:
        try:
            _tell(move(claim, outcome), claim, outcome)
            return
        except Exception as failure:  # noqa: BLE001  # an answer that was read is kept, whatever keeps it from its row
            if not database.is_outage(failure):
                _told_as_bug(claim, outcome)
                until = clock.boottime()  # tried again it would fail again
            database.close()
            if clock.boottime() >= until and _to_journal(claim, outcome):
                _log("attempt_journaled", claim, outcome)
                return
            threading.Event().wait(0.5)


def _to_journal(claim: Claim, outcome: Outcome) -> bool:
    try:
        journal.append(claim, outcome)
    except OSError as error:
        # This thread holds the outcome, and claims nothing more, until database or disk take it.
        log.error("journal_not_writable", email_id=claim.held.email_id, error=str(error))
        return False
    return True
