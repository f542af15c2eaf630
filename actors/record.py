"""Records what became of an attempt: one move for each outcome, and a pause for a mailbox that does not work."""

import threading
from datetime import datetime, timedelta
from functools import partial
from random import random
from typing import assert_never

import clock
import config
from actors import tally
from actors.disk import journal
from actors.disk.identity import this_worker
from actors.disk.journal import Unrecordable
from actors.hint import hint_marked, is_soon
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Scope, Unanswered, Withdrawn
from models.email import moves, stuck
from models.email.attempts import Conversation
from models.email.claims import Attempt, Claim
from models.email.hints import Hint
from models.email.locks import NoSuchEmail
from models.owner import campaigns, mailboxes
from models.planning import refusals
from models.planning.refusals import Kind, Refusal
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
        case Deferred() | Refused():
            return _record_refusal(attempt, outcome, told)
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
        _log_bug(attempt, outcome)
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


def _log_bug(attempt: Attempt, outcome: Outcome) -> None:
    """Called while an exception that is no outage is handled."""
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


def _record_refusal(attempt: Attempt, outcome: Deferred | Refused, told: Conversation) -> bool:
    """In one transaction: what decides about the e-mail cannot change before its move."""
    kind = _kind(outcome)
    with database.database.atomic():
        refusal = refusals.read(attempt.held.email_id, kind, put_off=isinstance(outcome, Deferred))
        if kind is not None and refusal.blames_mailbox(kind):
            return _close_mailbox(attempt, told, refusal)
        if isinstance(outcome, Deferred):
            return _try_again(attempt, outcome, told, refusal)
        return moves.reject(attempt.held, told, mailbox_works=_proves_mailbox(outcome))


def _kind(outcome: Deferred | Refused) -> Kind | None:
    """The answer, if many leads with the same one show that their mailbox is to blame."""
    it = outcome.reply
    if it.code is None or (isinstance(outcome, Deferred) and outcome.scope is Scope.LEAD):
        return None
    return Kind(outcome.scope, it.code, it.enhanced)


def _try_again(attempt: Attempt, outcome: Deferred, told: Conversation, refusal: Refusal) -> bool:
    number, rules, held = attempt.attempts + 1, config.settings().sending, attempt.held
    works, age, most = _proves_mailbox(outcome), refusal.put_off_for, timedelta(days=rules.give_up_after_days)
    if backoff.is_given_up(number, age, most):
        why = Reason(Code.GAVE_UP, attempts=number, days=age.days, because=told.instead or told.answer)
        return moves.reject(held, told, why, mailbox_works=works)
    moment = refusal.retry_moment(not_before=clock.now() + _pause(number - 1))
    is_hinted = is_soon(moment)
    if not moves.retry(held, moment, told, mailbox_works=works, is_hinted=is_hinted):
        return False
    if is_hinted:
        database.database.after_commit(partial(hint_marked, Hint(held.email_id, moment)))
    return True


def _close_to_its_letter(attempt: Attempt, told: Conversation) -> bool:
    paused = campaigns.close_to_its_letter(attempt, told)
    if paused is None:
        return False
    log.warning("letter_too_large", campaign_id=attempt.campaign_id, mailbox_id=attempt.mailbox_id, paused=paused)
    return True


def _close_mailbox(attempt: Attempt, told: Conversation, refusal: Refusal | None = None) -> bool:
    """A mailbox's fault does not fail the lead: its e-mail is released. refusal: that shows the fault."""
    until = mailboxes.close_after(attempt.held, told, _pause, refusal=refusal)
    if until is None:
        return False
    database.database.after_commit(partial(_log_closure, attempt, told, until))
    return True


def _log_closure(attempt: Attempt, told: Conversation, until: datetime) -> None:
    log.warning("mailbox_closed", mailbox_id=attempt.mailbox_id, until=until.isoformat(), phase=told.phase)
    metrics.MAILBOX_CLOSURES.labels(told.phase).inc()


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
                _log_bug(claim, outcome)
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
