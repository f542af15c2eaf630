"""Records the outcome of an attempt: one move per outcome, and a pause for a mailbox at fault."""

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
from logins.conversations import conversation_of
from mail.outcome import Accepted, Deferred, Outcome, Phase, Refused, Scope, Unanswered, Withdrawn
from models.email import moves, stuck
from models.email.attempts import Conversation
from models.email.claims import Attempt, Claim
from models.email.hints import Hint
from models.email.locks import NoSuchEmail
from models.owner import campaigns, mailboxes
from models.planning import refusals
from models.planning.refusals import Kind, Refusal
from models.store import database
from ops.watch import logs, metrics
from reasons import Code, Reason
from scheduling import backoff

log = logs.get()

# How long the database may be away before the outcome goes to the journal.
_KEEP_TRYING_SECONDS = 10.0


def record(claim: Claim, outcome: Outcome) -> None:
    """Record the outcome of an attempt. While the database is away, what it proves is kept in the journal."""
    # An unanswered dot proves nothing: if it is not recorded, the end of its lease has the same result.
    if isinstance(outcome, Unanswered):
        _count(move(claim, outcome), claim, outcome)
    else:
        _record_or_journal(claim, outcome)
    # Last: nothing that can fail or take time may come between a server's answer and its record.
    tally.conversed(outcome)


def merge_journal() -> None:
    """Record the outcomes in the journal. This machine claims nothing before."""
    journal.merge(_record_late)


def retry_refused() -> None:
    """Try again to record the outcomes that the database refused."""
    journal.retry_refused(_record_late)


def move(attempt: Attempt, outcome: Outcome) -> bool:
    """Make the one move for an outcome. Returns False if the attempt's claim is over."""
    held, conversation = attempt.held, conversation_of(outcome)
    match outcome:
        case Accepted():
            return moves.accept(held, conversation)
        case Deferred(Scope.MAILBOX):
            return _close_mailbox(attempt, conversation)
        case Deferred(Scope.WORKER):
            return moves.release(held, conversation.reason, conversation)
        case Deferred(Scope.CAMPAIGN):
            return _close_to_its_letter(attempt, conversation)
        case Deferred() | Refused():
            return _record_refusal(attempt, outcome, conversation)
        case Unanswered(reason):
            return moves.doubt(held, reason, conversation)
        case Withdrawn(reason):
            return moves.release(held, reason, conversation)
    assert_never(outcome)


def _record_late(attempt: Attempt, outcome: Outcome) -> None:
    try:
        held = move(attempt, outcome)
    except NoSuchEmail:
        held = False  # the restored database is older than the e-mail's plan, and a person accepted that
    except Exception as failure:
        if database.is_outage(failure):
            raise
        _log_bug(attempt, outcome)
        _hold(attempt)
        raise Unrecordable from failure
    _count(held, attempt, outcome)


def _hold(attempt: Attempt) -> None:
    """Keep the claim until its outcome is recorded: if it were released, the e-mail would be sent again."""
    try:
        stuck.hold(attempt.held, this_worker())
    except database.FAILURES as failure:
        if database.is_outage(failure):
            raise
        log.exception("claim_not_held", email_id=attempt.held.email_id)


def _log_bug(attempt: Attempt, outcome: Outcome) -> None:
    """Log an outcome that could not be recorded. Call it while an exception that is no outage is handled."""
    log.exception("outcome_not_recorded", email_id=attempt.held.email_id, outcome=type(outcome).__name__.lower())
    metrics.RECORDS_REFUSED.inc()


def _count(held: bool, attempt: Attempt, outcome: Outcome) -> None:
    """Count the outcome if its move was made, which its listener has logged; else log that the claim was over."""
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


def _record_refusal(attempt: Attempt, outcome: Deferred | Refused, conversation: Conversation) -> bool:
    """Close the mailbox, try again, or fail the e-mail. What this is decided from stays locked until the move."""
    kind = _kind(outcome)
    with database.database.atomic():
        refusal = refusals.read(attempt.held.email_id, kind, put_off=isinstance(outcome, Deferred))
        if kind is not None and refusal.blames_mailbox(kind):
            return _close_mailbox(attempt, conversation, refusal)
        if isinstance(outcome, Deferred):
            return _try_again(attempt, outcome, conversation, refusal)
        return moves.reject(attempt.held, conversation, mailbox_works=_proves_mailbox(outcome))


def _kind(outcome: Deferred | Refused) -> Kind | None:
    """The kind of answer, if the same answer to many leads can show that their mailbox is to blame; else None."""
    it = outcome.reply
    if it.code is None or (isinstance(outcome, Deferred) and outcome.scope is Scope.LEAD):
        return None
    return Kind(outcome.scope, it.code, it.enhanced)


def _try_again(attempt: Attempt, outcome: Deferred, conversation: Conversation, refusal: Refusal) -> bool:
    number, rules, held = attempt.attempts + 1, config.settings().sending, attempt.held
    works, age, most = _proves_mailbox(outcome), refusal.put_off_for, timedelta(days=rules.give_up_after_days)
    if backoff.is_given_up(number, age, most):
        why = Reason(Code.GAVE_UP, attempts=number, days=age.days, because=conversation.instead or conversation.answer)
        return moves.reject(held, conversation, why, mailbox_works=works)
    moment = refusal.retry_moment(not_before=clock.now() + pause_after(number - 1))
    is_hinted = is_soon(moment)
    if not moves.retry(held, moment, conversation, mailbox_works=works, is_hinted=is_hinted):
        return False
    if is_hinted:
        database.database.after_commit(partial(hint_marked, Hint(held.email_id, moment)))
    return True


def _close_to_its_letter(attempt: Attempt, conversation: Conversation) -> bool:
    paused = campaigns.close_to_its_letter(attempt, conversation)
    if paused is None:
        return False
    log.warning("letter_too_large", campaign_id=attempt.campaign_id, mailbox_id=attempt.mailbox_id, paused=paused)
    return True


def _close_mailbox(attempt: Attempt, conversation: Conversation, refusal: Refusal | None = None) -> bool:
    """Close the mailbox and release the e-mail, which does not fail. Returns False if the attempt's claim is over.

    refusal: given if answers to other e-mails show the mailbox's fault.
    """
    until = mailboxes.close_after(attempt.held, conversation, pause_after, refusal=refusal)
    if until is None:
        return False
    database.database.after_commit(partial(_log_closure, attempt, conversation, until))
    return True


def _log_closure(attempt: Attempt, conversation: Conversation, until: datetime) -> None:
    log.warning("mailbox_closed", mailbox_id=attempt.mailbox_id, until=until.isoformat(), phase=conversation.phase)
    metrics.MAILBOX_CLOSURES.labels(conversation.phase).inc()


def _proves_mailbox(outcome: Deferred | Refused) -> bool:
    """Whether the answer shows that the mailbox works: one to the dot about lead or content.

    An answer to RCPT does not: the mailbox's limit may still be refused after it.
    """
    return outcome.phase is Phase.DOT and outcome.scope in (Scope.LEAD, Scope.CONTENT)


def pause_after(before: int) -> timedelta:
    """How long to pause after an attempt or a fault with `before` others in a row before it."""
    rules = config.settings().sending
    draw = random()  # noqa: S311  # spreads retries, hides nothing
    return backoff.delay(before, rules.retry_first_seconds, rules.retry_factor, rules.retry_cap_seconds, draw)


def _record_or_journal(claim: Claim, outcome: Outcome) -> None:
    """Record the outcome in the database or, if that fails for too long, in the journal. Safe to repeat."""
    until = clock.boottime() + _KEEP_TRYING_SECONDS
    while True:
        try:
            _count(move(claim, outcome), claim, outcome)
            return
        except Exception as failure:  # noqa: BLE001  # whatever fails, the answer is kept
            if not database.is_outage(failure):
                _log_bug(claim, outcome)
                until = clock.boottime()  # another try would fail again
            database.close()
            if clock.boottime() >= until and _to_journal(claim, outcome):
                _log("attempt_journaled", claim, outcome)
                return
            threading.Event().wait(0.5)


def _to_journal(claim: Claim, outcome: Outcome) -> bool:
    try:
        journal.append(claim, outcome)
    except OSError as error:
        # This thread keeps trying, and claims nothing, until the database or the disk accepts the outcome.
        log.error("journal_not_writable", email_id=claim.held.email_id, error=str(error))
        return False
    return True
