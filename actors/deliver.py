"""What a worker does with one hint: claim the e-mail, compose it, send it to the mail server, record the answer.

Claim, hand-over and record are guarded moves of the row: a duplicate or late message changes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import clock
import config
from actors import queues, readiness
from actors.disk import handover_log
from actors.disk.identity import this_worker
from actors.hint import hint, is_soon, wait_for
from actors.inbox import look_to_follow_up
from actors.record import record
from logins import servers, tokens
from mail import smtp, unsubscribe
from mail.address import on_the_wire
from mail.compose import letter_of
from mail.connection import Timeouts
from mail.message import LetterInvalid, SenderInvalid
from mail.oauth import Away, NoToken
from mail.outcome import Deferred, Outcome, Phase, Refused, Scope, no_reply
from mail.render import TemplateInvalid
from models.email import hints, moves, recovery
from models.email.claims import Claim
from models.email.gates import Action, Closed
from models.email.hints import Hint
from models.email.locks import NoSuchEmail
from models.store import database, vault
from models.store.installation import DatabaseDisagrees
from ops.watch import logs, metrics
from reasons import Code, Reason, why
from scheduling.window import WARSAW

log = logs.get()

_WHEN_THE_DATABASE_MAY_BE_BACK = timedelta(seconds=5)


@queues.actor(queues.DELIVER)
def deliver(email_id: int, scheduled_at_ms: int) -> None:
    scheduled_at = datetime.fromtimestamp(scheduled_at_ms / 1000, UTC)
    wait_for(scheduled_at)
    claim = claim_email(email_id, scheduled_at)
    if claim is None:
        return
    content = compose(claim)
    if not isinstance(content, bytes):
        record(claim, content)
        return
    with converse(claim, content) as outcome:
        record(claim, outcome)


def claim_email(email_id: int, scheduled_at: datetime) -> Claim | None:
    """Claim the e-mail. Returns None if this machine, a gate or the database does not allow it now."""
    try:
        claim = _claim(email_id, scheduled_at)
    except database.FAILURES as failure:
        if not database.is_outage(failure):
            raise
        log.warning("claim_postponed", email_id=email_id, error=type(failure).__name__)
        database.close()
        hint(email_id, scheduled_at, clock.now() + _WHEN_THE_DATABASE_MAY_BE_BACK)
        return None
    except NoSuchEmail:
        log.warning("hint_of_no_email", email_id=email_id)
        return None
    if isinstance(claim, Closed):
        act_on_closed_gate(claim, email_id, scheduled_at)
        return None
    return claim


def _claim(email_id: int, scheduled_at: datetime) -> Claim | Closed | None:
    seen = readiness.look()
    if seen is None:
        return None
    if _is_old(scheduled_at) and (closed := hints.refused_anyway(Hint(email_id, scheduled_at))):
        return closed
    try:
        return moves.claim(email_id, scheduled_at, this_worker(), seen)
    except DatabaseDisagrees:
        # may_claim() checks in detail, and disarms the database if it lacks something. If it lacks nothing any more, a
        # new hint follows.
        if readiness.may_claim():
            hint(email_id, scheduled_at, clock.now())
        return None


def _is_old(scheduled_at: datetime) -> bool:
    """Whether the e-mail is long overdue. After downtime the queue holds thousands of such hints; most are refused."""
    return clock.now() - scheduled_at > hints.LOST_AFTER


def act_on_closed_gate(closed: Closed, email_id: int, scheduled_at: datetime) -> None:
    """Hint again, cancel, ask for a look into the inboxes, or do nothing: the tick plans what needs another time."""
    log.info("claim_refused", email_id=email_id, gate=closed.gate, reason=closed.reason)
    if closed.gate == "inbox":
        look_to_follow_up(email_id)
    if closed.action is Action.WAIT and closed.until is not None and is_soon(closed.until):
        hint(email_id, scheduled_at, closed.until)
    elif closed.action is Action.CANCEL:
        moves.cancel(email_id, closed.because, str(this_worker()))
    metrics.CLAIMS_REFUSED.labels(closed.gate).inc()


def compose(claim: Claim) -> bytes | Refused | Deferred:
    """The message as it is sent, or why it cannot be composed for this lead."""
    try:
        keys = vault.derived_keys(unsubscribe.PURPOSE)
        return letter_of(claim, clock.now().astimezone(WARSAW), keys, config.settings().unsubscribe.url)
    except (SenderInvalid, vault.KeyInvalid) as error:
        return Deferred(Scope.MAILBOX, Phase.COMPOSE, no_reply(why(error)))
    except (TemplateInvalid, LetterInvalid) as error:
        return Refused(Scope.CONTENT, Phase.COMPOSE, no_reply(_why_not_composed(error)))


@contextmanager
def converse(claim: Claim, content: bytes) -> Iterator[Outcome]:
    """Yield the outcome while the connection is still open: it is recorded before QUIT."""
    try:
        server = servers.smtp(claim)
    except (vault.KeyInvalid, NoToken) as error:
        phase = Phase.CONNECT if isinstance(error, Away) else Phase.AUTH
        yield Deferred(Scope.MAILBOX, phase, no_reply(why(error)))
        return
    except database.FAILURES as failure:
        if not database.is_outage(failure):
            raise
        database.close()
        yield Deferred(Scope.WORKER, Phase.AUTH, no_reply(Reason(Code.TOKEN_NOT_RENEWED, error=type(failure).__name__)))
        return
    recipient, before_dot = on_the_wire(claim.recipient), partial(hand_over, claim, content)
    limits = Timeouts.configured()
    database.give_back()  # not needed while the mail server is waited for
    with smtp.conversation(server, claim.sender, recipient, content, limits, before_dot) as outcome:
        yield outcome
        if claim.access is not None and _is_login_refused(outcome):
            tokens.distrust(claim.mailbox_id, claim.access)


def _is_login_refused(outcome: Outcome) -> bool:
    """Whether the login was refused for good: a temporary answer says nothing about the password or token."""
    return isinstance(outcome, Deferred) and outcome.phase is Phase.AUTH and (outcome.reply.code or 0) >= 500


def _why_not_composed(error: Exception) -> Reason:
    found = why(error)
    return found if isinstance(found, Reason) else Reason(Code.NOT_COMPOSED, error=found)


def hand_over(claim: Claim, content: bytes) -> Reason | None:
    """Record the hand-over. Returns why the dot must not be sent, or None if it may."""
    try:
        closed = moves.hand_over(claim.held, content)
        if closed is None:
            handover_log.note(recovery.of(claim, clock.now()), claim.history_position)
    except OSError as error:
        return Reason(Code.HAND_OVER_NOT_KEPT, error=str(error.strerror))
    except Exception as failure:  # whatever fails, no dot is sent without a hand-over
        if not database.is_outage(failure):
            log.exception("hand_over_failed", email_id=claim.held.email_id)
        # It may have been recorded all the same. As no dot follows, the e-mail can be released.
        return Reason(Code.HAND_OVER_NOT_RECORDED, error=type(failure).__name__)
    database.give_back()
    if closed is None:
        return None
    log.info("hand_over_refused", email_id=claim.held.email_id, gate=closed.gate, reason=closed.reason)
    return Reason(Code.WITHDRAWN, because=closed.because)
